"""Files of one JSON object a line: read with the place of what is wrong, appended to by several processes at once.

Whoever adds or rewrites holds the file's lock for that moment. A process that is killed can leave half a line behind;
it is cut off before the next one is added. `.gz` can be read, not added to.
"""

import fcntl
import gzip
import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import ValidationError

from fastchat.core.errors import SetupError
from fastchat.llm_judge.records import Row

R = TypeVar("R", bound=Row)
_BOM = b"\xef\xbb\xbf"


def read_rows(file: Path, row: type[R]) -> list[R]:
    """
    Raises:
        SetupError: the file cannot be read, or a line is no such row.
    """
    return [_parsed(data, row, f"{file}:{number}") for number, data in enumerate(_lines(file), 1) if data.strip()]


def read_recorded(file: Path, row: type[R]) -> list[R]:
    """Of a file that we add to: nothing if it is not there yet, and without half a line that a killed process left.

    Raises:
        SetupError: as `read_rows`.
    """
    if not file.exists():
        return []
    lines = list(_lines(file))
    if lines and _is_torn(lines[-1]):
        lines.pop()
    return [_parsed(data, row, f"{file}:{number}") for number, data in enumerate(lines, 1) if data.strip()]


def append_row(file: Path, row: Row) -> None:
    """The line is in the file, whole, when this returns.

    Raises:
        SetupError: there is no room, or no permission.
    """
    line = encode(row)
    with _locked(file) as fd:
        end = _heal(fd)
        try:
            if (written := os.write(fd, line)) != len(line):
                raise SetupError(f"{file}: only {written} of {len(line)} bytes could be written. Is the disk full?")
        except (OSError, SetupError) as error:
            os.ftruncate(fd, end)
            raise error if isinstance(error, SetupError) else _failed(file, "written to", error) from None


def rewrite_rows(file: Path, row: type[R], change: Callable[[list[R]], list[R]]) -> None:
    """The file is whole at every moment: the old one or the new one.

    Raises:
        SetupError: as `read_rows`, or there is no room.
    """
    with _locked(file) as fd:
        _heal(fd)
        _replace(file, map(encode, change(read_rows(file, row))))


def settle(file: Path, row: type[R], key: Callable[[R], Hashable], order: Callable[[R], Any]) -> None:
    """As FastChat leaves a file at the end: sorted, and of rows with the same key the last. Of a large file only the
    keys are in memory.

    Raises:
        SetupError: as `rewrite_rows`.
    """
    with _locked(file) as fd:
        _heal(fd)
        found: dict[Hashable, tuple[Any, int]] = {}  # by key: by what to sort, where the line begins
        start = 0
        for number, line in enumerate(_lines(file), 1):
            if line.strip():
                each = _parsed(line, row, f"{file}:{number}")
                found[key(each)] = order(each), start
            start += len(line)
        starts = [at for _, at in sorted(found.values(), key=lambda place: place[0])]
        with file.open("rb") as stream:
            _replace(file, (_line_at(stream, at) for at in starts))


def _line_at(stream: BinaryIO, start: int) -> bytes:
    stream.seek(start)
    return stream.readline().removeprefix(_BOM).rstrip(b"\r\n") + b"\n"


def _replace(file: Path, lines: Iterable[bytes]) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("wb") as stream:
            stream.writelines(lines)
        draft.replace(file)
    except OSError as error:
        raise _failed(file, "written to", error) from None
    finally:
        draft.unlink(missing_ok=True)


def id_order(question_id: int | str) -> tuple[bool, int | str]:
    """Numbers before names."""
    return isinstance(question_id, str), question_id


def encode(row: Row) -> bytes:
    """What was not given and has no value is left out: FastChat's tools ask whether a field is there."""
    left_out = {name for name in type(row).model_fields.keys() - row.model_fields_set if getattr(row, name) is None}
    return json.dumps(row.model_dump(mode="json", exclude=left_out), allow_nan=False).encode() + b"\n"


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            yield from stream
    except (OSError, EOFError) as error:
        raise _failed(file, "read", error) from None


def _parsed(data: bytes, row: type[R], place: str) -> R:
    try:
        return row.model_validate(json.loads(data.removeprefix(_BOM)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise SetupError(f"{place}: {field}: {first['msg']}" if field else f"{place}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{place}: is not JSON: {error}") from None


def _is_torn(line: bytes) -> bool:
    if line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False  # a whole one, in a file that somebody wrote without a last line break


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    if file.suffix == ".gz":
        raise SetupError(f"{file} is compressed, and rows cannot be added to it. Unpack it with gunzip first.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fd = _current(file)
    except OSError as error:
        raise _failed(file, "written to", error) from None
    try:
        yield fd
    finally:
        os.close(fd)  # which unlocks it


def _current(file: Path) -> int:
    """The file of that name, locked: another process may put a new one in its place while we wait for the lock."""
    while True:
        fd = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(fd), file.stat()):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)


def _heal(fd: int) -> int:
    """Cuts half a line off, or ends a whole one that lacks its line break; returns where the next one begins."""
    end = os.fstat(fd).st_size
    if end == 0 or os.pread(fd, 1, end - 1) == b"\n":
        return end
    tail = _tail(fd, end)
    if not _is_torn(tail):
        return end + os.write(fd, b"\n")
    os.ftruncate(fd, end - len(tail))
    return end - len(tail)


def _tail(fd: int, end: int, step: int = 65536) -> bytes:
    """What stands behind the last line break."""
    parts: list[bytes] = []
    while end > 0:
        start = max(0, end - step)
        block = os.pread(fd, end - start, start)
        _, found, behind = block.rpartition(b"\n")
        parts.append(behind if found else block)
        if found:
            break
        end = start
    return b"".join(reversed(parts))


def _failed(file: Path, done: str, error: Exception) -> SetupError:
    return SetupError(f"{file} cannot be {done}: {getattr(error, 'strerror', None) or error}.")
