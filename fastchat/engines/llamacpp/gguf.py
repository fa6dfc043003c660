"""The few facts of a GGUF file that have to be known before llama.cpp loads it.

Reading them first also means that a file which is no model never reaches native code, and that the error can say why.

A GGUF file begins `GGUF`, version u32, tensor count u64, entry count u64; an entry is a key, a type and a value:
    16 00.. "general.architecture"  08 00.. (string)  05 00.. "llama"
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastchat.core.errors import SetupError

_FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class ModelFile:
    path: str
    trained_context: int
    has_chat_template: bool


def inspect(path: str) -> ModelFile:
    """
    Raises:
        SetupError: there is no such file, or it is not a language model in GGUF.
    """
    file = Path(path)
    if not file.is_file():
        raise SetupError(f"There is no file {path!r}. Give the path of a .gguf file, or 'builtin'.")
    with file.open("rb") as stream:
        try:
            entries = dict(_entries(stream))
        except (struct.error, UnicodeDecodeError, LookupError, MemoryError, OverflowError):
            raise SetupError(f"{path!r} is damaged: its GGUF header cannot be read. Fetch it again.") from None
        except ValueError as error:
            raise SetupError(f"{path!r} is not a GGUF model: {error}.") from None
    context = entries.get(f"{entries.get('general.architecture')}.context_length")
    if not isinstance(context, int):
        raise SetupError(f"{path!r} is a GGUF file, but not of a language model: it names no context length.")
    return ModelFile(path, context, has_chat_template="tokenizer.chat_template" in entries)


def _entries(stream: BinaryIO) -> Iterator[tuple[str, Any]]:
    if stream.read(4) != b"GGUF":
        raise ValueError("it does not begin with the letters GGUF")
    version, _, count = _read(stream, "IQQ")
    if version not in (2, 3):
        raise ValueError(f"it has version {version}, known are 2 and 3")
    for _ in range(count):
        key = _string(stream)
        yield key, _value(stream, *_read(stream, "I"))


def _value(stream: BinaryIO, kind: int) -> Any:
    """The value; of an array only None, since all we would do with a vocabulary is to throw it away."""
    if kind == _STRING:
        return _string(stream)
    if kind != _ARRAY:
        return _read(stream, _FIXED[kind])[0]
    kind, count = _read(stream, "IQ")
    if kind in _FIXED:
        stream.seek(struct.calcsize(_FIXED[kind]) * count, 1)
    elif kind == _STRING:
        for _ in range(count):
            stream.seek(_read(stream, "Q")[0], 1)
    else:
        for _ in range(count):
            _value(stream, kind)
    return None


def _string(stream: BinaryIO) -> str:
    (size,) = _read(stream, "Q")
    data = stream.read(size)
    if len(data) != size:
        raise struct.error
    return data.decode()


def _read(stream: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{layout}", stream.read(struct.calcsize(f"<{layout}")))
