"""Files of votes on the disk: which ones are meant, what form they have, and their lines, packed by gzip or not."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from fastchat.core.errors import SetupError

_GZIP, _PARQUET, _BYTE_ORDER_MARK = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"
_LOG_NAME = re.compile(r"(.+-)?\d{4}-\d{2}-\d{2}-conv\.jsonl?(\.gz)?")
_LINES_LOOKED_AT = 10  # a log may begin with lines of a server that fell


class Form(StrEnum):
    CSV = "CSV"
    LIST = "JSON"
    OBJECT = "JSON object"  # with a list of votes in it
    LINES = "JSON lines"
    PARQUET = "Parquet"
    LOG = "FastChat's log"


_BY_ENDING = {
    **dict.fromkeys((".csv", ".tsv"), Form.CSV),
    **dict.fromkeys((".jsonl", ".ndjson"), Form.LINES),
    **dict.fromkeys((".parquet", ".pq"), Form.PARQUET),
    ".json": Form.LIST,
}


class VoteFile(NamedTuple):
    path: Path
    name: str  # for readers elsewhere: no place on this machine


def chosen(paths: Sequence[Path]) -> list[VoteFile]:
    """Files as they are given; of a folder, the logs that are in it or in folders below, by name.

    Raises:
        SetupError: there is no such file, nothing in it, or a folder has no log.
    """
    files: list[VoteFile] = []
    for path in paths:
        files += _logs_in(path) if path.is_dir() else [VoteFile(path, path.name)]
    if not files:
        raise SetupError("No file of votes was given.")
    for file, _ in files:
        if not file.exists():
            raise SetupError(f"There is no file {file}.")
        if file.stat().st_size == 0:
            raise SetupError(f"{file} is empty.")
    return files


def _logs_in(folder: Path) -> list[VoteFile]:
    logs = sorted(file for file in folder.rglob("*") if _LOG_NAME.fullmatch(file.name))
    if not logs:
        raise SetupError(
            f"The folder {folder} has no log of FastChat's, whose names end in YYYY-MM-DD-conv.json. "
            "Give files of votes by their names."
        )
    return [VoteFile(log, log.relative_to(folder).as_posix()) for log in logs]


def is_packed(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == _GZIP


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """What is in it, unpacked.

    Raises:
        SetupError: it cannot be read.
    """
    try:
        with cast(BinaryIO, gzip.open(file)) if is_packed(file) else file.open("rb") as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SetupError(f"{file} cannot be unpacked: {error}.") from None
    except PermissionError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from None


class NumberedLine(NamedTuple):
    number: int  # from 1
    data: bytes


def lines(file: Path) -> Iterator[NumberedLine]:
    """Those that are not empty."""
    with opened(file) as stream:
        for number, data in enumerate(stream, 1):
            if data.strip():
                yield NumberedLine(number, data.removeprefix(_BYTE_ORDER_MARK) if number == 1 else data)


def form_of(file: Path) -> Form:
    """
    Raises:
        SetupError: neither its name nor what is in it tells.
    """
    with opened(file) as stream:
        head = stream.read(4096).removeprefix(_BYTE_ORDER_MARK).lstrip()
    if head.startswith(_PARQUET):
        return Form.PARQUET
    named = _BY_ENDING.get(Path(file.name.removesuffix(".gz")).suffix.lower())
    if named in (Form.CSV, Form.PARQUET):
        return named
    if head.startswith(b"["):
        return Form.LIST
    if head.startswith(b"{") or named:
        return _form_of_json(file, named, head)
    raise SetupError(f"{file} is neither CSV nor JSON nor Parquet, as far as its name and its beginning tell.")


def _form_of_json(file: Path, named: Form | None, head: bytes) -> Form:
    first_lines = [_object(line.data) for line in islice(lines(file), _LINES_LOOKED_AT)]
    if _LOG_NAME.fullmatch(file.name) or any(map(_is_logged, first_lines)):
        return Form.LOG
    is_whole_vote = bool(first_lines and first_lines[0]) and list_of_votes(first_lines[0]) is None
    if is_whole_vote or named is Form.LINES:
        return Form.LINES
    return Form.OBJECT if head.startswith(b"{") else Form.LIST


def _object(data: bytes) -> dict[str, Any]:
    """Nothing in it if the line is none. Any: JSON"""
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _is_logged(line: dict[str, Any]) -> bool:
    return "type" in line and "tstamp" in line and ("state" in line or "states" in line)


def list_of_votes(document: dict[str, Any]) -> list[Any] | None:
    """Of an object around it."""
    return next((document[key] for key in ("votes", "battles", "data") if isinstance(document.get(key), list)), None)
