"""The questions that stand in a file: JSON lines, JSON or YAML, packed with gzip or not, in any format that we know."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from fastchat.core.errors import SetupError
from fastchat.core.yaml_places import line_of
from fastchat.llm_judge.question_formats import as_question
from fastchat.llm_judge.records import Question

KINDS = (".jsonl", ".json", ".yaml", ".yml")
_WANTED = 'a question has at least {"question_id": 1, "turns": ["..."]}'
_LIST = "questions"  # a YAML or JSON file is a list of questions, or has one under this name


class PlacedQuestion(NamedTuple):
    place: str  # file:line
    question: Question


class _Row(NamedTuple):
    place: str
    fields: Any  # what the file says, which may be no question at all


def kind_of(file: Path) -> str:
    """The file's suffix, without that of gzip."""
    return (file.with_suffix("") if file.suffix == ".gz" else file).suffix.lower()


def read_file(file: Path) -> Iterator[PlacedQuestion]:
    """In the file's order.

    Raises:
        SetupError: it cannot be read, or a row is no question; says in which line.
    """
    if kind_of(file) not in KINDS:
        raise SetupError(f"{file}: questions are read from {', '.join(KINDS)}, and from those with .gz behind.")
    text = _text(file)
    rows = _json_lines(file, text) if kind_of(file) == ".jsonl" else _listed(file, text)
    for number, row in enumerate(rows, 1):
        yield PlacedQuestion(row.place, _question(row, number))


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
        return (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SetupError(f"{file} is not UTF-8: {error}.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SetupError(f"{file} cannot be unpacked: {error}.") from None
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None


def _json_lines(file: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), 1):  # str.splitlines would cut at characters that JSON allows
        if line.strip():
            try:
                yield _Row(f"{file}:{number}", json.loads(line))
            except json.JSONDecodeError as error:
                raise SetupError(f"{file}:{number}: is not JSON: {error.msg} at column {error.colno}.") from None


def _listed(file: Path, text: str) -> Iterator[_Row]:
    """Of JSON and YAML. JSON is read as what it is, since YAML's reader is a hundred times slower."""
    is_json = kind_of(file) == ".json"
    try:
        content = json.loads(text) if is_json else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise SetupError(f"{file}:{error.lineno}: is not JSON: {error.msg}.") from None
    except yaml.YAMLError as error:
        raise SetupError(f"{file} is not YAML: {error}.") from None
    keys = [_LIST] if isinstance(content, dict) else []
    rows = content.get(_LIST) if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise SetupError(f"{file}: should be a list of questions, or have one under `{_LIST}:`; {_WANTED}.")
    root = None if is_json else yaml.compose(text, Loader=yaml.SafeLoader)
    for number, fields in enumerate(rows):
        place = f"{file}: entry {number + 1}" if is_json else f"{file}:{line_of(root, [*keys, number])}"
        yield _Row(place, fields)


def _question(row: _Row, number: int) -> Question:
    if not isinstance(row.fields, Mapping):
        raise SetupError(f"{row.place}: is {type(row.fields).__name__}, not a question; {_WANTED}.")
    try:
        question = Question.model_validate(as_question(row.fields, number))
    except (KeyError, TypeError, ValueError) as error:
        raise SetupError(f"{row.place}: {_reason(error)}; {_WANTED}.") from None
    if any(not turn.strip() for turn in question.turns):
        raise SetupError(f"{row.place}: question {question.question_id} has an empty turn.")
    if len(question.reference or ()) > len(question.turns):
        raise SetupError(f"{row.place}: question {question.question_id} has more references than turns: one a turn.")
    return question


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        places = {".".join(map(str, one["loc"])): one["msg"].lower() for one in error.errors(include_url=False)}
        return ", ".join(f"{place}: {message}" for place, message in places.items())
    return f"has no {error}" if isinstance(error, KeyError) else f"has a field of another shape than expected: {error}"
