"""The same weights in another number format, or out of old .bin files into safetensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from fastchat.core.errors import SetupError
from fastchat.model.carried import carry, edit_json, set_dtype
from fastchat.model.manifest import Manifest
from fastchat.model.safetensors_file import TensorShape
from fastchat.model.shards import Checkpoint, Tensor, torch_dtype
from fastchat.model.writing import ShardRecord, WriteOptions, prepare, write_model

FloatType: TypeAlias = Literal["bfloat16", "float16", "float32"]

_NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
_WEIGHTS = frozenset({"F64", "F32", "F16", "BF16"})  # other types mean something and are left as they are


def recast(source: Path, target: Path, dtype: FloatType | None, options: WriteOptions) -> Manifest:
    """Write the checkpoint at `source` as safetensors to `target`; with a `dtype` its floating-point weights in that.

    Raises:
        SetupError: there are no weights, a value does not fit into the format, or there is no room.
    """
    prepare(target, {"the source": source}, overwrite=options.overwrite)
    checkpoint = Checkpoint.open(source)
    tensors = {name: _recast_shape(tensor, dtype) for name, tensor in checkpoint.tensors.items()}

    def accompany(folder: Path) -> None:
        if source.is_dir():
            carry(source, folder)
        if dtype:
            edit_json(folder / "config.json", lambda config: set_dtype(config, dtype))

    inputs = [checkpoint.stamp(), dtype]
    return write_model(target, tensors, _Recasting(checkpoint), "convert", inputs, options, accompany)


@dataclass(frozen=True, slots=True)
class _Recasting:
    checkpoint: Checkpoint

    def rows(self, tensor: TensorShape, start: int, stop: int) -> Tensor:
        rows = self.checkpoint.read(tensor.name, start, stop)
        result = rows.to(torch_dtype(tensor.dtype))
        if tensor.dtype == "F16" and rows.dtype != result.dtype and (result.isinf() & ~rows.isinf()).any():
            raise SetupError(f"{tensor.name} has values beyond float16's range of 65504. Take bfloat16.")
        return result

    def finish(self, record: ShardRecord, folder: Path) -> None:
        pass

    def check(self, tensor: TensorShape, digest: str) -> None:
        pass


def _recast_shape(tensor: TensorShape, dtype: FloatType | None) -> TensorShape:
    if dtype is None or tensor.dtype not in _WEIGHTS:
        return tensor
    return TensorShape(tensor.name, _NAMES[dtype], tensor.shape)
