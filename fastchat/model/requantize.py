"""A GGUF file with its quantised weights in another format: the same model, for a CPU that is faster at that one.

llama.cpp multiplies Q4_0 in blocks made for the CPU it runs on, most other formats one row after the other; OpenVINO
rounds away what Q4_1 has beyond Q4_0. Q8_0 and BF16 hold what four bits held nearly without loss, in two and four times
the memory; Q4_0 rounds a second time, which a small model feels (`benchmarks/engines.py` measures all of them).
Embeddings and norms stay as they are. One tensor is in memory at a time.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.model.gguf import read_header

Format: TypeAlias = Literal["q4_0", "q8_0", "bf16"]
FROM = ("Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_1", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
_FILE_TYPES: Mapping[Format, int] = {"q4_0": 2, "q8_0": 7, "bf16": 32}  # "mostly …", in `general.file_type`
_BLOCK = 32


class Progress(NamedTuple):
    tensor: str
    done: int  # tensors
    total: int


def requantize(source: Path, target: Path, to: Format, *, report: Callable[[Progress], None] = lambda _: None) -> int:
    """Write `target`, whole or not at all; the number of tensors rewritten.

    Raises:
        SetupError: the source is no GGUF file, or holds nothing to rewrite.
        MissingPackage: the package `gguf` is not installed.
    """
    if find_spec("gguf") is None:
        raise MissingPackage("gguf", "llamacpp", "Requantising")
    read_header(source)  # says what is wrong with a file that is none
    import gguf

    try:
        reader = gguf.GGUFReader(source)
    except (ValueError, IndexError, KeyError):
        raise SetupError(f"'{source}' is damaged or was not copied to its end.") from None
    rewritten = {tensor.name for tensor in reader.tensors if _is_meant(tensor, to)}
    if not rewritten:
        raise SetupError(f"'{source}' has no tensor in one of the formats {', '.join(FROM)}; there is nothing to do.")
    partial = target.with_name(f".{target.name}.partial")
    try:
        _write(reader, partial, to, rewritten, report)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return len(rewritten)


def _is_meant(tensor: Any, to: Format) -> bool:
    name = tensor.tensor_type.name
    return name in FROM and name != to.upper() and int(tensor.shape[0]) % _BLOCK == 0


def _write(reader: Any, target: Path, to: Format, rewritten: set[str], report: Callable[[Progress], None]) -> None:
    import gguf
    import numpy as np

    from fastchat.model.rounding import q4_0

    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    with closing(writer):
        for key, value, value_type, inner in _metadata(reader):
            writer.add_key_value(key, value, value_type, sub_type=inner)
        writer.add_file_type(_FILE_TYPES[to])
        kind = gguf.GGMLQuantizationType[to.upper()]
        for tensor in reader.tensors:
            if tensor.name in rewritten:
                shape = gguf.quant_shape_to_byte_shape([int(size) for size in reversed(tensor.shape)], kind)
                writer.add_tensor_info(tensor.name, shape, np.dtype(np.uint8), int(np.prod(shape)), raw_dtype=kind)
            else:
                data = tensor.data
                writer.add_tensor_info(tensor.name, data.shape, data.dtype, data.nbytes, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, tensor in enumerate(reader.tensors):
            report(Progress(tensor.name, done, len(reader.tensors)))
            data = tensor.data
            if tensor.name in rewritten:
                weights = gguf.dequantize(data, tensor.tensor_type)
                data = q4_0(weights) if to == "q4_0" else gguf.quantize(weights, kind)
            writer.write_tensor_data(data)


def _metadata(reader: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Key, value, type, and the type of a list's items."""
    for key, field in reader.fields.items():
        # The first are not metadata; the writer adds the others itself.
        if not key.startswith("GGUF.") and key not in ("general.architecture", "general.file_type"):
            kind, *inner = field.types
            yield key, field.contents(), kind, inner[-1] if inner else None
