"""Files of records as a stream of JSON objects, one after the other, however large the file.

A JSON list, JSON lines, either packed by gzip, and Parquet. What a file is, its first bytes say, not its name.
"""

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.data.readers.json_values import parse, repaired

Fields: TypeAlias = dict[str, Any]  # Any: whatever stands in a JSON object
Unreadable: TypeAlias = Callable[[str, str], None]  # is told the place and what is wrong there

_GZIP, _PARQUET, _BYTE_ORDER_MARK = b"\x1f\x8b", b"PAR1", b"\xef\xbb\xbf"
_CHUNK = 2**20
_LARGEST_RECORD = 2**28  # characters; of a list that breaks off inside a text, all the rest would else be read
_ROWS = 4096  # of a Parquet file, at once
_BETWEEN = re.compile(r"[\s,]*")
_LONGEST_WORD = 16  # of JSON: what a chunk may have cut in two
_SHOWN = 80  # characters of what was found


class Record(NamedTuple):
    file: Path
    number: int  # from 1
    fields: Fields

    @property
    def place(self) -> str:
        """For messages."""
        return f"{self.file}: record {self.number}"


def read_records(file: Path, unreadable: Unreadable | None = None) -> Iterator[Record]:
    """With `unreadable`, a line that is no JSON object is told there and left out: who falls while writing leaves half.

    Raises:
        SetupError: the file cannot be read, is in none of these formats, or one of its records is no JSON object.
    """
    if not file.exists():
        raise SetupError(f"There is no file {file}.")
    if file.is_dir():
        raise SetupError(f"{file} is a folder. Give one file: JSON, JSON lines (also .gz) or Parquet.")
    try:
        for number, value in enumerate(_values(file, unreadable), 1):
            record = Record(file, number, value)
            if not isinstance(value, dict):
                found = f"is no JSON object, but {shown(value)}"
                if unreadable is None:
                    raise SetupError(f"{record.place} {found}.")
                unreadable(record.place, found)
                continue
            yield record
    except (OSError, EOFError, zlib.error) as error:
        raise SetupError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{file} is not text in UTF-8: {error.reason}.") from None


def shown(value: object) -> str:
    """A value as a message quotes it."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _values(file: Path, unreadable: Unreadable | None) -> Iterator[Any]:
    with _opened(file) as stream:
        start = stream.read(_CHUNK).removeprefix(_BYTE_ORDER_MARK).lstrip()
    if start.startswith(_PARQUET):
        return _parquet_rows(file)
    if start.startswith(b"["):
        return _list_items(file)
    if start.startswith(b"{"):
        return _lines(file, unreadable)
    if not start:
        raise SetupError(f"{file} is empty.")
    raise SetupError(
        f"{file} begins with {start[:20].decode(errors='replace')!r}. A file of records is a JSON list of objects, one "
        " JSON object a line, or Parquet."
    )


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """What is in it, unpacked."""
    with file.open("rb") as stream:
        is_packed = stream.read(2) == _GZIP
    with gzip.open(file) if is_packed else file.open("rb") as stream:
        yield cast(BinaryIO, stream)


def _lines(file: Path, unreadable: Unreadable | None) -> Iterator[Any]:
    with _opened(file) as stream:
        for number, line in enumerate(stream, 1):
            data = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
            if not data.strip():
                continue
            try:
                value = parse(data)
            except ValueError as error:
                if unreadable:
                    unreadable(f"{file}:{number}", f"is not JSON: {error}")
                    continue
                more = " Is it one object over many lines? Put it into a list, [ … ]." if number == 1 else ""
                raise SetupError(f"{file}:{number}: is not JSON: {error}.{more}") from None
            yield value


def _list_items(file: Path) -> Iterator[Any]:
    """The elements of a list, each parsed once it has been read whole: in memory are a chunk and one element."""
    decode = codecs.getincrementaldecoder("utf-8-sig")().decode
    parse_at = json.JSONDecoder(strict=False).raw_decode
    with _opened(file) as stream:
        buffer = decode(stream.read(_CHUNK))
        at, number = buffer.index("[") + 1, 1
        while True:
            while (between := _BETWEEN.match(buffer, at)) and (at := between.end()) == len(buffer):
                if not (data := stream.read(_CHUNK)):
                    raise SetupError(
                        f"{file} ends after record {number - 1}, before its list does. Is it a part of a file?"
                    )
                buffer, at = decode(data), 0
            if buffer[at] == "]":
                if buffer[at + 1 :].strip() or stream.read(_CHUNK).strip():
                    raise SetupError(f"{file}: behind the list of {number - 1} records stands something else.")
                return
            try:
                value, end = parse_at(buffer, at)
            except json.JSONDecodeError as error:
                # A larger and larger piece, so that a large element is not parsed over and over.
                data = b"" if _is_final(error, at) else stream.read(max(_CHUNK, len(buffer) - at))
                if not data:
                    raise SetupError(f"{file}: record {number} is not JSON: {error.msg}.") from None
                buffer, at = buffer[at:] + decode(data), 0
            except RecursionError:
                raise SetupError(f"{file}: record {number} is nested too deeply.") from None
            else:
                has_surrogates = max(buffer.find("\\ud", at, end), buffer.find("\\uD", at, end)) >= 0
                yield repaired(value) if has_surrogates else value
                at, number = end, number + 1


def _is_final(error: json.JSONDecodeError, start: int) -> bool:
    """Whether more of the file would not help."""
    length = len(error.doc)
    is_open = error.msg.startswith("Unterminated string") or error.pos > length - _LONGEST_WORD
    return not is_open or length - start > _LARGEST_RECORD


def _parquet_rows(file: Path) -> Iterator[Any]:
    try:
        import polars
    except ModuleNotFoundError:
        raise MissingPackage("polars", "leaderboard", "Reading Parquet") from None
    try:
        for batch in polars.scan_parquet(file).collect_batches(chunk_size=_ROWS, maintain_order=True):
            yield from batch.iter_rows(named=True)
    except polars.exceptions.PolarsError as error:
        raise SetupError(f"{file} cannot be read as Parquet: {error}.") from None
