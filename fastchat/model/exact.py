"""The elements of a model that adding its delta to the base does not restore to the bit.

base + (target - base) is rounded twice, and where the two models differ much in size some elements come out one step
beside the target. They stand in safetensors files beside the delta, whose names no other program looks at. For
the rows of tensor `name` that begin at `start` there are

    name@start/index  I32 (n,)  which elements, counted from there      name@start/value  (n,)  what they are
    name@start/whole  (…)       or all of them, when that is shorter
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

from fastchat.model.manifest import raw_bytes
from fastchat.model.safetensors_file import TensorShape, header_bytes
from fastchat.model.shards import SafetensorsFile, Tensor, row_steps, shape_of


class ExactWriter:
    """Goes to disk at once: what is recorded is not held in memory."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._body = file.with_suffix(".part")
        self._body.unlink(missing_ok=True)
        self._shapes: list[TensorShape] = []

    def record(self, tensor: TensorShape, start: int, wanted: Tensor, restored: Tensor) -> None:
        """Keep where the two, rows of `tensor` from `start` on, are not the same bits."""
        for first, last in row_steps(shape_of(tensor.name, wanted), 1):
            self._record(f"{tensor.name}@{start + first}", wanted[first:last], restored[first:last])

    def close(self) -> bool:
        """Whether there is a file; there is none where nothing differed."""
        if not self._shapes:
            return False
        with self.file.open("wb") as stream, self._body.open("rb") as body:
            stream.write(header_bytes(self._shapes, {"format": "fastchat-exact/1"}))
            shutil.copyfileobj(body, stream, 2**20)
        self._body.unlink()
        return True

    def _record(self, key: str, wanted: Tensor, restored: Tensor) -> None:
        import torch

        wrong = (_bits(wanted) != _bits(restored)).nonzero().reshape(-1)
        if len(wrong) == 0:
            return
        size = wanted.element_size()
        if len(wrong) * (4 + size) < wanted.numel() * size:
            self._append(f"{key}/index", wrong.to(torch.int32))
            self._append(f"{key}/value", wanted.reshape(-1)[wrong])
        else:
            self._append(f"{key}/whole", wanted)

    def _append(self, key: str, values: Tensor) -> None:
        # Types are mixed, so values need not lie at multiples of their size; our reader does not care.
        self._shapes.append(shape_of(key, values))
        with self._body.open("ab") as body:
            body.write(raw_bytes(values))


class ExactReader:
    def __init__(self, files: Iterable[Path]) -> None:
        self._places = {key: file for file in map(SafetensorsFile, files) for key in file.tensors}

    def mend(self, tensor: TensorShape, start: int, rows: Tensor) -> None:
        """Put what was recorded into these rows of `tensor`, the first of which is `start`."""
        for first, last in row_steps(shape_of(tensor.name, rows), 1):
            key = f"{tensor.name}@{start + first}"
            if f"{key}/whole" in self._places:
                rows[first:last] = self._read(f"{key}/whole")
            elif f"{key}/index" in self._places:
                index = self._read(f"{key}/index").long()
                rows[first:last].view(-1)[index] = self._read(f"{key}/value")

    def _read(self, key: str) -> Tensor:
        file = self._places[key]
        return file.read(key, 0, file.tensors[key].rows)


def _bits(tensor: Tensor) -> Tensor:
    """As numbers that compare by their bits: NaN equals itself, and 0 is not -0."""
    import torch

    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.contiguous().reshape(-1).view(kinds[tensor.element_size()])
