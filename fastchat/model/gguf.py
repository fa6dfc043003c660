"""The header of a GGUF file: what a model says about itself.

    "GGUF" | version u32 | tensors u64 | pairs u64 | pair …      pair: key | type u32 | value
    string: length u64, bytes          array: type u32, length u64, items          all little-endian

Read before an engine loads the file, so that what is no model never reaches native code and the error can say why.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from fastchat.core.errors import SetupError

Number: TypeAlias = int | float | bool
Value: TypeAlias = Number | str | tuple[Number, ...] | None  # None: a list of words, passed over

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_LONGEST_LIST = 4096  # a number for each layer is of interest, one for each word of a vocabulary is not


def read_header(file: Path) -> dict[str, Value]:
    """
    Raises:
        SetupError: there is no such file, it is not GGUF, or it is damaged.
    """
    if not file.is_file():
        raise SetupError(f"There is no file '{file}'. Give the path of a .gguf file, or 'builtin'.")
    with file.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise SetupError(f"'{file}' is not a GGUF model: it does not begin with the letters GGUF.")
        try:
            version, _, count = _read(stream, "IQQ")
            if version not in _VERSIONS:
                raise SetupError(f"'{file}' is not a GGUF model: it has version {version}, known are 2 and 3.")
            return dict(_pairs(stream, count))
        except (struct.error, UnicodeDecodeError, LookupError, MemoryError, OverflowError, OSError):
            raise SetupError(f"'{file}' is damaged: its GGUF header cannot be read. Fetch it again.") from None


def word_at(file: Path, key: str, index: int) -> str | None:
    """One entry of a list of words, which `read_header` passes over; None if there is no such list or entry."""
    read_header(file)
    with file.open("rb") as stream:
        stream.seek(4)
        for _ in range(_read(stream, "IQQ")[2]):
            name, (kind,) = _string(stream), _read(stream, "I")
            if name != key or kind != _ARRAY:
                _value(stream, kind)
                continue
            of, count = _read(stream, "IQ")
            if of != _STRING or not 0 <= index < count:
                return None
            for _ in range(index):
                stream.seek(_read(stream, "Q")[0], 1)
            return _string(stream)
    return None


def number(header: dict[str, Value], key: str, default: int = 0) -> int:
    """`block_count` and its like: the architecture's name stands before each key. Of a list the largest counts."""
    value = header.get(f"{header.get('general.architecture')}.{key}", default)
    if isinstance(value, tuple):
        return int(max(value, default=default))
    return default if value is None or isinstance(value, str) else int(value)


def _pairs(stream: BinaryIO, count: int) -> Iterator[tuple[str, Value]]:
    for _ in range(count):
        key = _string(stream)
        yield key, _value(stream, *_read(stream, "I"))


def _value(stream: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _string(stream)
    if kind == _ARRAY:
        return _list(stream, *_read(stream, "IQ"))
    value: Number = _read(stream, _NUMBERS[kind])[0]
    return value


def _list(stream: BinaryIO, kind: int, count: int) -> tuple[Number, ...] | None:
    if kind == _STRING:
        for _ in range(count):
            stream.seek(_read(stream, "Q")[0], 1)
        return None
    if kind == _ARRAY:
        for _ in range(count):
            _list(stream, *_read(stream, "IQ"))
        return None
    if count > _LONGEST_LIST:
        stream.seek(struct.calcsize(_NUMBERS[kind]) * count, 1)
        return None
    return _read(stream, f"{count}{_NUMBERS[kind]}")


def _string(stream: BinaryIO) -> str:
    (size,) = _read(stream, "Q")
    data = stream.read(size)
    if len(data) != size:
        raise struct.error
    return data.decode()


def _read(stream: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{layout}", stream.read(struct.calcsize(f"<{layout}")))


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Names and sizes of the tensors, the innermost axis first.

    Raises:
        SetupError: as `read_header`.
    """
    read_header(file)
    with file.open("rb") as stream:
        stream.seek(8)
        tensors, count = _read(stream, "QQ")
        for _ in _pairs(stream, count):
            pass
        try:
            return dict(_tensor(stream) for _ in range(tensors))
        except (struct.error, UnicodeDecodeError, MemoryError, OverflowError):
            raise SetupError(f"'{file}' is damaged: its list of tensors cannot be read. Fetch it again.") from None


def _tensor(stream: BinaryIO) -> tuple[str, tuple[int, ...]]:
    name = _string(stream)
    (axes,) = _read(stream, "I")
    shape = _read(stream, f"{axes}Q")
    _read(stream, "IQ")  # type and place
    return name, shape
