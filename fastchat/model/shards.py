"""A checkpoint on disk, read a few rows at a time: safetensors, or PyTorch's old files without running what is in them.

Nothing is mapped into memory and nothing kept, so reading a model takes as much memory as the part asked for.
"""

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.model.safetensors_file import TensorShape, read_header

if TYPE_CHECKING:
    from torch import Tensor as Tensor
else:
    Tensor: TypeAlias = Any

_SEGMENT = 2**18
_MAPPED_BYTES = 32 * 2**20  # an old file is opened anew after so much was read, so that its pages leave our memory


class WeightFile(Protocol):
    """One file of a checkpoint."""

    @property
    def path(self) -> Path: ...

    @property
    def tensors(self) -> Mapping[str, TensorShape]: ...

    def read(self, name: str, start: int, stop: int) -> "Tensor": ...

    def release(self) -> None:
        """Give back the memory it holds; it can still be read."""
        ...


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tensors of a folder or file, whichever files they lie in."""

    path: Path
    tensors: Mapping[str, TensorShape]  # in the order in which reading them is fastest
    files: tuple[WeightFile, ...]
    _places: Mapping[str, WeightFile]

    @classmethod
    def open(cls, path: Path) -> "Checkpoint":
        """Read the headers, and find that all of it is there.

        Raises:
            SetupError: there are no weights, parts are missing or damaged, or a pickle holds more than tensors.
        """
        files = tuple(_open(file) for file in weight_files(path))
        places = {name: file for file in files for name in file.tensors}
        tensors = {name: shape for file in files for name, shape in file.tensors.items()}
        return cls(path, tensors, files, places)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def read(self, name: str, start: int = 0, stop: int | None = None) -> "Tensor":
        """Rows of a tensor, shape (stop - start, …); a scalar has one row. A copy of its own."""
        rows = self.tensors[name].rows
        place = self._places[name]
        for file in self.files:
            if file is not place:
                file.release()
        return place.read(name, start, rows if stop is None else min(stop, rows))

    def stamp(self) -> list[object]:
        """Changes when the files do."""
        stats = [(file.path.name, file.path.stat()) for file in self.files]
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]


def weight_files(path: Path) -> list[Path]:
    """The files a checkpoint consists of: one named, those of an index, or the only one there is.

    Raises:
        SetupError: there are none, or some that the index names are missing.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SetupError(f"There is no folder '{path}'. Give a folder with weights as safetensors or .bin.")
    for single, index in (
        ("model.safetensors", "model.safetensors.index.json"),
        ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ):
        if (path / index).is_file():
            return _of_index(path / index)
        if (path / single).is_file():
            return [path / single]
        if parts := sorted(path.glob(single.replace(".", "-*-of-*."))):
            return _complete(parts)
    others = sorted(path.glob("*.safetensors"))
    if len(others) == 1:
        return others
    gguf = " It holds GGUF; convert that first: fastchat weights convert." if list(path.glob("*.gguf")) else ""
    raise SetupError(f"There are no weights in '{path}': neither model.safetensors nor pytorch_model.bin.{gguf}")


def _of_index(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError):
        raise SetupError(f"'{index}' is no index of weights. Fetch it again.") from None
    if missing := [name for name in names if not (index.parent / name).is_file()]:
        raise SetupError(
            f"'{index.parent}' is not complete: {len(missing)} of {len(names)} files are missing, such as {missing[0]}."
        )
    return [index.parent / name for name in names]


def _complete(parts: list[Path]) -> list[Path]:
    total = int(parts[0].stem.rpartition("-of-")[2])
    if len(parts) != total:
        raise SetupError(f"'{parts[0].parent}' is not complete: it has {len(parts)} of {total} files of weights.")
    return parts


def _open(file: Path) -> WeightFile:
    return SafetensorsFile(file) if file.suffix == ".safetensors" else TorchFile(file)


class SafetensorsFile:
    def __init__(self, path: Path) -> None:
        self.path = path
        header = read_header(path)
        self.tensors = header.tensors
        self.metadata = header.metadata
        self._offsets = header.offsets

    def read(self, name: str, start: int, stop: int) -> "Tensor":
        import torch

        tensor = self.tensors[name]
        shape = (stop - start, *tensor.shape[1:])
        row_bytes = tensor.nbytes // max(1, tensor.rows)
        buffer = bytearray(row_bytes * (stop - start))
        if not buffer:
            return torch.empty(shape, dtype=torch_dtype(tensor.dtype))
        with self.path.open("rb") as stream:
            stream.seek(self._offsets[name] + row_bytes * start)
            if stream.readinto(buffer) != len(buffer):
                raise SetupError(f"'{self.path}' ends too early. Fetch or build it again.")
        return torch.frombuffer(buffer, dtype=torch_dtype(tensor.dtype)).view(shape)

    def release(self) -> None:
        pass


class TorchFile:
    """`pytorch_model*.bin`. Only tensors are let out of the pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded: dict[str, Tensor] | None = None
        self._bytes_read = 0
        self.tensors = {name: shape_of(name, tensor) for name, tensor in self._load().items()}
        self._loaded = None

    def read(self, name: str, start: int, stop: int) -> "Tensor":
        tensor = self._load()[name]
        rows = tensor.reshape(1)[start:stop] if tensor.dim() == 0 else tensor[start:stop]
        copy = rows.clone().contiguous()
        self._bytes_read += copy.nbytes
        if self._bytes_read > _MAPPED_BYTES:
            self.release()
        return copy

    def release(self) -> None:
        self._loaded, self._bytes_read = None, 0

    def _load(self) -> dict[str, "Tensor"]:
        if self._loaded is None:
            self._loaded = _load_pickle(self.path)
        return self._loaded


def _load_pickle(path: Path) -> dict[str, "Tensor"]:
    torch = _torch()
    try:
        try:
            values = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            values = torch.load(path, map_location="cpu", weights_only=True)  # the format before PyTorch 1.6
    except pickle.UnpicklingError:
        raise SetupError(
            f"'{path}' is a pickle that holds more than tensors; loading it would run code from it. Take the model as "
            "safetensors, or, if you trust its author, convert it where nothing else is: "
            "torch.save(torch.load(FILE, weights_only=False).state_dict(), FILE)."
        ) from None
    except (RuntimeError, EOFError, OSError) as error:
        raise SetupError(f"'{path}' is no PyTorch file, or not a whole one ({error}). Fetch it again.") from None
    if not isinstance(values, dict) or not all(isinstance(value, torch.Tensor) for value in values.values()):
        raise SetupError(f"'{path}' holds other things than named tensors; it is no file of weights.")
    return values


def shape_of(name: str, tensor: "Tensor") -> TensorShape:
    return TensorShape(name, safetensors_dtype(tensor.dtype), tuple(tensor.shape))


def torch_dtype(name: str) -> Any:
    return _dtypes()[name]


def safetensors_dtype(dtype: Any) -> str:
    return next(name for name, other in _dtypes().items() if other == dtype)


def row_steps(tensor: TensorShape, segments: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows, each of so many segments. A segment is 2¹⁸ elements or one row, whichever is more."""
    step = segments * max(1, _SEGMENT // max(1, tensor.row_elements))
    for start in range(0, tensor.rows, step):
        yield start, min(start + step, tensor.rows)


def _dtypes() -> dict[str, Any]:
    torch = _torch()
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64"}
    kinds = {"I": "int", "U": "uint"}
    names |= {f"{kind}{bits}": f"{word}{bits}" for kind, word in kinds.items() for bits in (8, 16, 32, 64)}
    names |= {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu", "BOOL": "bool"}
    names |= {"F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz"}
    return {name: getattr(torch, attribute) for name, attribute in names.items()}


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingPackage("torch", "hf", "Reading and changing weights") from None
    return torch
