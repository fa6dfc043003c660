"""The few numbers in a GGUF file's header that say how much memory its context takes.

    "GGUF" | version u32 | tensors u64 | pairs u64 | pair …      pair: key | type u32 | value
    string: length u64, bytes          array: type u32, length u64, items          all little-endian

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from pathlib import Path
from typing import BinaryIO, TypeAlias

from fastchat.core.errors import SetupError

Number: TypeAlias = int | float | bool
Value: TypeAlias = Number | str | tuple[Number, ...]

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def read_header(file: Path) -> dict[str, Value]:
    """The pairs that describe the network. Those of the tokenizer, which come last and are long, are left out.

    Raises:
        SetupError: it is no GGUF file, or it ends too early.
    """
    found: dict[str, Value] = {}
    try:
        with file.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise SetupError(f"{file} is not a GGUF file.")
            _version, _tensors, pairs = _read(stream, "IQQ")
            for _ in range(int(pairs)):
                key = _read_string(stream)
                if key.startswith("tokenizer."):
                    break
                found[key] = _read_value(stream, int(_read(stream, "I")[0]))
    except (OSError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} cannot be read as GGUF: {error}.") from None
    return found


def _read(stream: BinaryIO, layout: str) -> tuple[Number, ...]:
    packed = struct.Struct("<" + layout)
    return packed.unpack(stream.read(packed.size))


def _read_string(stream: BinaryIO) -> str:
    length = int(_read(stream, "Q")[0])
    return stream.read(length).decode("utf-8")


def _read_value(stream: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _read_string(stream)
    if kind != _ARRAY:
        return _read(stream, _NUMBERS[kind])[0]
    item, length = (int(number) for number in _read(stream, "IQ"))
    if item == _STRING:  # lists of words: passed over
        for _ in range(length):
            _read_string(stream)
        return ()
    return _read(stream, f"{length}{_NUMBERS[item]}")
