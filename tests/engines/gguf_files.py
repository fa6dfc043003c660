"""GGUF files for tests: a tiny adapter, and the built-in model with more to say about itself."""

import random
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | float
_ALIGNMENT = 32


def write_lora(path: Path, *, tensor: str, inputs: int, outputs: int) -> Path:
    """A rank-1 adapter that changes one matrix at random, enough to change what the model says."""
    numbers = random.Random(1)
    metadata: Mapping[str, Value] = {
        "general.type": "adapter",
        "general.architecture": "llama",
        "adapter.type": "lora",
        "adapter.lora.alpha": 1.0,
    }
    tensors = {
        f"{tensor}.lora_a": ((inputs, 1), [numbers.gauss(0, 1) for _ in range(inputs)]),
        f"{tensor}.lora_b": ((1, outputs), [numbers.gauss(0, 1) for _ in range(outputs)]),
    }
    path.write_bytes(_file(metadata, tensors))
    return path


def with_metadata(source: Path, target: Path, entries: Mapping[str, Value]) -> Path:
    """A copy that has some more entries in front. Their size keeps the tensors where they have to begin."""
    block = b"".join(_entry(key, value) for key, value in entries.items())
    empty_padding = len(_entry("test.padding", ""))
    block += _entry("test.padding", "." * (-(len(block) + empty_padding) % _ALIGNMENT))
    with source.open("rb") as old, target.open("wb") as new:
        magic, version, tensors, count = struct.unpack("<4sIQQ", old.read(24))
        new.write(struct.pack("<4sIQQ", magic, version, tensors, count + len(entries) + 1) + block)
        shutil.copyfileobj(old, new, 2**20)
    return target


def header(entries: Mapping[str, Value]) -> bytes:
    """A file without tensors."""
    return _file(entries, {})


def _file(entries: Mapping[str, Value], tensors: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))
    head += b"".join(_entry(key, value) for key, value in entries.items())
    data = b""
    for name, (shape, numbers) in tensors.items():
        dimensions = struct.pack(f"<{len(shape)}Q", *shape)
        head += _string(name) + struct.pack("<I", len(shape)) + dimensions + struct.pack("<IQ", 0, len(data))
        data += _padded(struct.pack(f"<{len(numbers)}f", *numbers))
    return _padded(head) + data


def _entry(key: str, value: Value) -> bytes:
    if isinstance(value, str):
        return _string(key) + struct.pack("<I", 8) + _string(value)
    if isinstance(value, int):
        return _string(key) + struct.pack("<II", 4, value)
    return _string(key) + struct.pack("<If", 6, value)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
