"""The formats of `catalog.toml`, by name and by the names of the models that need them."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.prompts.formats import PromptFormat
from fastchat.prompts.layouts import BEGINNING_OF_TEXT, END_OF_TEXT, fill
from fastchat.prompts.rendering import compile_template

_DEFAULT_LAYOUT = "turns"
_FOLDERS_ABOVE = 2  # of the hub's cache: models--lmsys--vicuna-7b-v1.5/snapshots/<commit>


@dataclass(frozen=True, slots=True)
class Rule:
    """Models whose name holds the pattern need the format."""

    pattern: str
    format: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Where our text is not FastChat's; `*` stands for all formats."""

    formats: tuple[str, ...]
    what: str
    why: str


def names() -> list[str]:
    """All names, those that are the same format as another included."""
    return list(_catalog()["formats"])


def find(name_or_file: str) -> PromptFormat:
    """A format of the catalogue, or one that a Jinja file describes.

    Raises:
        SetupError: there is neither, or the file is no chat template.
    """
    formats = _catalog()["formats"]
    if name_or_file in formats:
        row = formats[name_or_file]
        return _build(name_or_file, {**formats.get(row.get("like"), {}), **row})
    file = Path(name_or_file).expanduser()
    if not file.is_file():
        raise SetupError(_unknown(name_or_file))
    return _read(file)


def match(model_name: str) -> PromptFormat | None:
    """The format that a model of this name or path needs, where its family never shipped one."""
    for part in list(reversed(PurePath(model_name).parts))[: 1 + _FOLDERS_ABOVE]:
        name = re.sub(r"[_\s]", "-", part.lower())
        for rule in rules():
            if re.search(rule.pattern, name):
                return find(rule.format)
    return None


def rules() -> list[Rule]:
    return [Rule(**row) for row in _catalog()["rules"]]


def differences() -> list[Difference]:
    return [Difference(tuple(row["formats"]), row["what"], row["why"]) for row in _catalog()["differences"]]


def _build(name: str, row: Mapping[str, Any]) -> PromptFormat:
    values = {"system": row.get("system", ""), **row.get("marks", {})}
    if "examples" in row:
        values["examples"] = row["examples"]
    expressions = {"start": BEGINNING_OF_TEXT} if row.get("begins_with_bos") else {}
    if row.get("ends_with_eos"):
        expressions["finish"] = END_OF_TEXT
    return PromptFormat(
        name=name,
        template=fill(row.get("layout", _DEFAULT_LAYOUT), values, expressions),
        system=values["system"],
        roles=(row["roles"][0], row["roles"][1]),
        stop=tuple(row.get("stop", ())),
        stop_token_ids=tuple(row.get("stop_token_ids", ())),
    )


def _read(file: Path) -> PromptFormat:
    try:
        template = file.read_text("utf-8")
        compile_template(template)
    except OSError as error:
        raise SetupError(f"The prompt format {file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SetupError(f"The prompt format {file} is not a text file; a Jinja file is needed.") from None
    except SetupError as error:
        raise SetupError(f"{file}: {error.message}") from None
    return PromptFormat(name=file.stem, template=template)


def _unknown(name: str) -> str:
    by_lower = {known.lower(): known for known in names()}
    close = [by_lower[lower] for lower in difflib.get_close_matches(name.lower(), by_lower, n=5, cutoff=0.5)]
    hint = f" Do you mean {', '.join(close)}?" if close else ""
    return (
        f"There is no prompt format and no file {name!r}.{hint} `fastchat prompts list` prints all names; "
        "the path of a Jinja file will do as well."
    )


@cache
def _catalog() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("catalog.toml").read_text("utf-8"))
