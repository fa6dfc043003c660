r"""Prompts out of files: FastChat's JSON and its successors', JSON lines, or tables of votes.

{"text": "…"} | {"prompt": "…"} | {"turns": ["…", "…"]}
{"conversation": [{"role": "user", "content": "…"}, …]} | {"conversation_a": […]} | {"conv_a": […]}
"""

import gzip
import json
import string
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from fastchat.arena.leaderboard.categories.languages import detect
from fastchat.core.errors import MissingPackage, SetupError

_CONVERSATIONS = ("conversation_a", "conv_a", "conversation_b", "conv_b", "conversation")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_Row: TypeAlias = Mapping[str, Any]  # JSON


def read_prompts(file: Path) -> Iterator[Sequence[str]]:
    """What somebody asked in one conversation, turn by turn; conversations without a question are passed over.

    Raises:
        SetupError: it cannot be read, or a row has nothing that is a prompt.
    """
    for number, row in enumerate(_rows(file), 1):
        turns = _turns(row)
        if turns is None:
            raise SetupError(
                f"{file}: row {number} has no prompt. Rows have one of: text, prompt, turns, "
                f"{', '.join(_CONVERSATIONS)}."
            )
        if asked := [turn.strip() for turn in turns if turn.strip()]:
            yield asked


def chosen(
    prompts: Sequence[str], *, min_length: int | None = None, max_length: int | None = None, english_only: bool = False
) -> list[str]:
    """Those of that length in characters, each once: prompts of the same words in another order count as the same.

    Raises:
        MissingPackage: lingua is needed, and not installed.
    """
    kept: dict[str, str] = {}
    for text in prompts:
        if len(text) >= (min_length or 1) and (max_length is None or len(text) <= max_length):
            kept.setdefault(_likeness(text), text)
    texts = list(kept.values())
    return [text for text, code in zip(texts, detect(texts), strict=True) if code == "en"] if english_only else texts


def _likeness(text: str) -> str:
    return " ".join(sorted(text.lower().translate(_NO_PUNCTUATION).split())) or text


def _rows(file: Path) -> Iterator[Any]:
    """Any: JSON. A list of rows, or a row a line."""
    if file.suffix == ".parquet":
        yield from _parquet(file)
        return
    try:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{file} is not UTF-8: {error}.") from None
    if text.lstrip().startswith("["):
        yield from _json(text, str(file))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _json(line, f"{file}:{number}")


def _json(text: str, place: str) -> Any:
    """Any: JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise SetupError(f"{place}: this is not JSON: {error}.") from None


def _parquet(file: Path) -> Iterator[Any]:
    """Any: a row as plain values."""
    if find_spec("polars") is None:
        raise MissingPackage("polars", "leaderboard", "Parquet")
    import polars as pl

    try:
        frame = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SetupError(f"{file} cannot be read: {error}.") from None
    yield from frame.iter_rows(named=True)


def _turns(row: _Row) -> Sequence[str] | None:
    if not isinstance(row, dict):
        return None
    for key in ("text", "prompt"):
        if isinstance(row.get(key), str):
            return [row[key]]
    if isinstance(row.get("turns"), list):
        return [turn for turn in row["turns"] if isinstance(turn, str)]
    for key in _CONVERSATIONS:
        if isinstance(row.get(key), list):
            return [_text(message) for message in row[key] if _is_question(message)]
    return None


def _is_question(message: Any) -> bool:
    """Any: JSON. Messages are objects of OpenAI's, or of ShareGPT's kind."""
    return isinstance(message, dict) and message.get("role", message.get("from")) in ("user", "human")


def _text(message: _Row) -> str:
    """Of a message with pictures, its words."""
    content = message.get("content", message.get("value"))
    if isinstance(content, list):
        parts = (part.get("text") if isinstance(part, dict) else part for part in content)
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
