"""Layers that keep their weights in 8 or 4 bits and compute in 16 or 32: only weights are rounded, never activations.

8 bits: one scale for each row of the matrix. 4 bits: a scale and a zero point for each 32 columns of a row.
PyTorch has fast kernels for both on the CPU; everywhere else the weights are unpacked for the moment of their use.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUP = 32  # columns that share scale and zero point in 4 bits
# Rows of input up to which the CPU's 8-bit kernel beats unpacking: measured at 1 row 2.1 times the speed of bfloat16,
# at 8 rows equal; at 32 rows it is slower than unpacking.
_FEW_ROWS = 16
_NUMBERS_AT_ONCE = 2**20  # made exact at a time, while rounding
_UNPACKED_ROWS = 1024  # unpacked at a time, so that they stay in the processor's cache


def _constant(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _parts(weight: Tensor) -> Iterator[slice]:
    """Some rows at a time: exact copies of a whole matrix of words would be the most memory loading takes."""
    rows = max(1, _NUMBERS_AT_ONCE // weight.shape[1])
    return (slice(start, start + rows) for start in range(0, len(weight), rows))


def to_int8(weight: Tensor, dtype: torch.dtype) -> dict[str, Tensor]:
    """weight (rows, columns) → weight int8 (rows, columns), weight_scale (rows,) in `dtype`."""
    rounded = torch.empty_like(weight, dtype=torch.int8)
    scales = torch.empty(len(weight), dtype=dtype, device=weight.device)
    for part in _parts(weight):
        exact = weight[part].to(torch.float32, copy=True)
        scale = (exact.abs().amax(dim=1) / 127).to(dtype)  # rounded first, so that the scale itself adds no error
        scales[part] = torch.where(scale == 0, torch.ones_like(scale), scale)
        rounded[part] = exact.div_(scales[part].float()[:, None]).round_().clamp_(-127, 127)
    return {"weight": rounded, "weight_scale": scales}


def to_int4(weight: Tensor, dtype: torch.dtype, *, for_cpu: bool | None = None) -> dict[str, Tensor]:
    """weight (rows, columns) → weight int8 (rows, columns / 2), weight_scale (columns / GROUP, rows, 2) in `dtype`.

    A number of 0 to 15 stands for `(number - 8) * scale + middle`. How two of them lie in a byte is the kernel's affair
    on the CPU; elsewhere the lower half is the left one. `for_cpu` goes by where the weight is unless given.
    """
    rows, columns = weight.shape
    numbers = torch.empty_like(weight, dtype=torch.int32)
    steps = torch.empty((columns // GROUP, rows, 2), dtype=dtype, device=weight.device)
    for part in _parts(weight):
        groups = weight[part].to(torch.float32, copy=True).view(-1, columns // GROUP, GROUP)
        low, high = groups.amin(dim=-1, keepdim=True), groups.amax(dim=-1, keepdim=True)
        scale = ((high - low) / 15).to(dtype).float()
        scale = torch.where(scale == 0, torch.ones_like(scale), scale)
        middle = (low + 8 * scale).to(dtype).float()
        steps[:, part] = torch.cat([scale, middle], dim=-1).transpose(0, 1).to(dtype)
        numbers[part] = groups.sub_(middle).div_(scale).add_(8).round_().clamp_(0, 15).view(-1, columns).to(torch.int32)
    if weight.device.type == "cpu" if for_cpu is None else for_cpu:
        packed = torch._convert_weight_to_int4pack_for_cpu(numbers, 1)
    else:
        packed = (numbers[:, ::2] | (numbers[:, 1::2] << 4)).to(torch.uint8)
    # int8, for models look at the weight's type before they convert their activations to it
    return {"weight": packed.view(torch.int8), "weight_scale": steps}


class Int8Linear(nn.Linear):  # type: ignore[misc]  # torch is untyped
    def __init__(self, in_features: int, out_features: int, *, bias: bool, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.weight = _constant(torch.empty((out_features, in_features), dtype=torch.int8))
        self.weight_scale = _constant(torch.empty((out_features,), dtype=dtype))
        self.bias = _constant(torch.empty((out_features,), dtype=dtype)) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        rows = input.reshape(-1, self.in_features)
        scale = self.weight_scale.to(input.dtype)
        if input.device.type == "cpu":
            few = rows.dtype == torch.bfloat16 and len(rows) <= _FEW_ROWS
            output = (
                torch._weight_int8pack_mm(rows.contiguous(), self.weight, scale)
                if few
                else self._unpacked_in_parts(rows) * scale
            )
        else:
            output = rows @ self.weight.to(rows.dtype).t() * scale
        output = output if self.bias is None else output + self.bias
        return output.view(*input.shape[:-1], self.out_features)

    def _unpacked_in_parts(self, rows: Tensor) -> Tensor:
        output = rows.new_empty((len(rows), self.out_features))
        room = rows.new_empty((min(_UNPACKED_ROWS, self.out_features), self.in_features))
        for start in range(0, self.out_features, _UNPACKED_ROWS):
            part = self.weight[start : start + _UNPACKED_ROWS]
            output[:, start : start + len(part)] = rows @ room[: len(part)].copy_(part).t()
        return output


class Int8Embedding(nn.Embedding):  # type: ignore[misc]
    def __init__(self, count: int, size: int, *, padding: int | None, factor: float, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.num_embeddings, self.embedding_dim, self.padding_idx = count, size, padding
        self.factor = factor  # by which some models multiply what they look up
        self.weight = _constant(torch.empty((count, size), dtype=torch.int8))
        self.weight_scale = _constant(torch.empty((count,), dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        scale = self.weight_scale[input]
        words = self.weight[input].to(scale.dtype) * scale[..., None]
        return words if self.factor == 1 else words * self.factor


class Int4Linear(nn.Linear):  # type: ignore[misc]
    def __init__(self, in_features: int, out_features: int, *, bias: bool, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = in_features, out_features
        self.weight = _constant(torch.empty((out_features, in_features // 2), dtype=torch.int8))
        self.weight_scale = _constant(torch.empty((in_features // GROUP, out_features, 2), dtype=dtype))
        self.bias = _constant(torch.empty((out_features,), dtype=dtype)) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        rows = input.reshape(-1, self.in_features)
        packed, steps = self.weight.view(torch.uint8), self.weight_scale.to(input.dtype)
        if input.device.type == "cpu":
            output = torch._weight_int4pack_mm_for_cpu(rows.contiguous(), packed, GROUP, steps)
        else:
            output = functional.linear(rows, _unpacked(packed, steps))
        output = output if self.bias is None else output + self.bias
        return output.view(*input.shape[:-1], self.out_features)


def _unpacked(packed: Tensor, steps: Tensor) -> Tensor:
    """(rows, columns) in the type of `steps`."""
    numbers = torch.stack([packed & 15, packed >> 4], dim=-1).view(len(packed), -1, GROUP).to(steps.dtype)
    scale, middle = (part.t()[..., None] for part in steps.unbind(dim=-1))
    return ((numbers - 8) * scale + middle).view(len(packed), -1)
