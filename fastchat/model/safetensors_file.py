"""One safetensors file: its header, read and written without any library.

    header length u64 | header | data
    header: {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, …, "__metadata__": {…}}

Offsets count from the end of the header; tensors lie in C order, little-endian, without gaps.
Format: https://github.com/huggingface/safetensors#format
"""

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastchat.core.errors import SetupError

# Bytes of one element.
SIZES = {"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
SIZES |= {"F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1, "I8": 1, "U8": 1, "BOOL": 1}
_LONGEST_HEADER = 100 * 2**20  # as the reference implementation has it


@dataclass(frozen=True, slots=True)
class TensorShape:
    """What is known of a tensor without reading it."""

    name: str
    dtype: str  # a key of SIZES
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.elements * SIZES[self.dtype]

    @property
    def rows(self) -> int:
        """Parts along the first axis, in which it is read and written."""
        return self.shape[0] if self.shape else 1

    @property
    def row_elements(self) -> int:
        return math.prod(self.shape[1:])


@dataclass(frozen=True, slots=True)
class Header:
    tensors: Mapping[str, TensorShape]  # in the order of their data
    offsets: Mapping[str, int]  # where each begins in the file
    metadata: Mapping[str, str]


def read_header(file: Path) -> Header:
    """
    Raises:
        SetupError: it is no safetensors file, or is cut off.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > min(size, _LONGEST_HEADER):
                raise ValueError
            entries = json.loads(stream.read(length))
        metadata = entries.pop("__metadata__", {})
        ordered = sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
        tensors = {name: TensorShape(name, entry["dtype"], tuple(entry["shape"])) for name, entry in ordered}
        start, offsets = 8 + length, {}
        for name, entry in ordered:
            first, last = entry["data_offsets"]
            if last - first != tensors[name].nbytes or start + last > size:
                raise ValueError
            offsets[name] = start + first
    except OSError as error:
        raise SetupError(f"'{file}' cannot be read: {error.strerror}.") from None
    except KeyError as error:
        raise SetupError(f"'{file}' has a tensor of a type that is not known here: {error}.") from None
    except (struct.error, ValueError, TypeError, AttributeError):
        raise SetupError(f"'{file}' is no whole safetensors file. Fetch or build it again.") from None
    return Header(tensors, offsets, metadata)


def in_file_order(tensors: Iterable[TensorShape]) -> list[TensorShape]:
    """Largest elements first, so that all of them lie at multiples of their own size."""
    return sorted(tensors, key=lambda tensor: -SIZES[tensor.dtype])


def header_bytes(tensors: Iterable[TensorShape], metadata: Mapping[str, str]) -> bytes:
    """What stands before the data of these tensors, written in this order."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    position = 0
    for tensor in tensors:
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [position, position + tensor.nbytes],
        }
        position += tensor.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
