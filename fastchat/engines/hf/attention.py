"""Attention of many sequences at once over keys and values that lie in blocks.

All tokens of a step stand in one row, (1, tokens), so the rest of the model sees one sequence. Only attention has to
know who is whose: it is registered with transformers as an implementation of its own, and a `Batch`, passed through the
model's forward, tells which rows belong together and where their past lies. Without a `Batch` it is plain SDPA, so that
the model stays fit for everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "fastchat_blocks"


class NotPageable(Exception):
    """The model's attention does something that is not done here."""


class KeyValueBlocks:
    """The memory: for each layer one tensor of keys and one of values, (blocks, heads, block size, head size).

    Laid out at the first forward pass, when the shapes are known.
    """

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size  # tokens in a block
        self.layers: dict[int, tuple[Tensor, Tensor]] = {}
        self.windows: dict[int, int | None] = {}  # what each layer said of its sliding window

    def of_layer(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        if layer not in self.layers:
            self.layers[layer] = self._empty(key), self._empty(value)
        return self.layers[layer]

    def _empty(self, part: Tensor) -> Tensor:
        shape = (self.count, part.shape[1], self.size, part.shape[3])
        if part.device.type != "cpu":
            return torch.zeros(shape, dtype=part.dtype, device=part.device)
        # NumPy leaves it to the system to fill pages with zeros once they are used; torch would use them all now.
        return torch.from_numpy(numpy.zeros(prod(shape) * part.itemsize, numpy.uint8)).view(part.dtype).view(shape)

    @property
    def bytes_per_block(self) -> int:
        return sum(part[0].nbytes for parts in self.layers.values() for part in parts)


@dataclass(frozen=True, slots=True)
class Group:
    """Sequences that take the same number of rows, which follow one another."""

    first_row: int
    positions: Tensor  # (sequences, rows of each)
    table: Tensor  # (sequences, blocks): block numbers, filled up with any to equal length

    @property
    def rows(self) -> slice:
        return slice(self.first_row, self.first_row + self.positions.numel())


@dataclass(frozen=True, slots=True)
class Batch:
    """One forward pass. What layers have in common is worked out once."""

    blocks: KeyValueBlocks
    groups: Sequence[Group]
    targets: Tensor  # (rows,): block · block size + offset, where the row's key and value go
    _memo: dict[Any, Tensor] = field(default_factory=dict)

    def store(self, memory: Tensor, new: Tensor) -> None:
        """`new` is (1, heads, rows, head size)."""
        heads, size = memory.shape[1], self.blocks.size
        if (places := self._memo.get((heads, memory.device))) is None:
            block, offset = self.targets // size, self.targets % size
            head = torch.arange(heads, device=block.device)
            places = ((block[:, None] * heads + head) * size + offset[:, None]).flatten().to(memory.device)
            self._memo[heads, memory.device] = places
        memory.view(-1, memory.shape[-1]).index_copy_(0, places, new[0].transpose(0, 1).reshape(-1, new.shape[-1]))

    def load(self, memory: Tensor, number: int) -> Tensor:
        """All that the sequences of a group have, (sequences, heads, tokens, head size)."""
        table, heads = self.groups[number].table, memory.shape[1]
        if (places := self._memo.get((number, heads, memory.device))) is None:
            head = torch.arange(heads, device=table.device)
            # Head before block, so that nothing has to be transposed.
            places = (table[:, None, :] * heads + head[None, :, None]).flatten().to(memory.device)
            self._memo[number, heads, memory.device] = places
        found = memory.view(-1, self.blocks.size * memory.shape[-1]).index_select(0, places)
        return found.view(table.shape[0], heads, -1, memory.shape[-1])

    def mask(self, number: int, heads_per_key: int, window: int | None, like: Tensor) -> Tensor:
        """(sequences, 1, heads_per_key · rows of each, tokens), to be added to the scores."""
        wanted = (number, heads_per_key, window, like.dtype, like.device)
        if (mask := self._memo.get(wanted)) is None:
            group = self.groups[number]
            position = group.positions[:, :, None]
            token = torch.arange(group.table.shape[1] * self.blocks.size, device=position.device)
            is_seen = token <= position
            if window is not None:
                is_seen &= token > position - window
            mask = torch.zeros(is_seen.shape, dtype=like.dtype, device=position.device)
            mask = mask.masked_fill_(~is_seen, float("-inf")).repeat(1, heads_per_key, 1)[:, None].to(like.device)
            self._memo[wanted] = mask
        return mask


def install(model: Any) -> None:
    """Let the model use this attention."""
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def _attention(
    module: Any,
    query: Tensor,  # (1, heads, rows, head size)
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    batch: Batch | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if batch is None:
        return _plain_attention(module, query, key, value, attention_mask, scale, softcap, **others), None
    if others.get("s_aux") is not None or getattr(module, "sinks", None) is not None:
        raise NotPageable("its attention has sinks")
    keys, values = batch.blocks.of_layer(module.layer_idx, key, value)
    batch.blocks.windows[module.layer_idx] = sliding_window
    batch.store(keys, key)
    batch.store(values, value)
    parts = [
        _group_attention(batch, number, query[0, :, group.rows], keys, values, scale, sliding_window, softcap)
        for number, group in enumerate(batch.groups)
    ]
    return (parts[0] if len(parts) == 1 else torch.cat(parts))[None], None


def _plain_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,  # what may be seen; None: all, or what came before
    scale: float,
    softcap: float | None,
    **others: Any,
) -> Tensor:
    """As transformers' own SDPA, which knows no softcap; sliding windows are in the mask."""
    if softcap is None:
        output: Tensor = sdpa_attention_forward(module, query, key, value, mask, scaling=scale, **others)[0]
        return output
    if mask is None:
        mask = torch.ones((query.shape[2], key.shape[2]), dtype=torch.bool, device=query.device)
        mask = mask.tril() if query.shape[2] > 1 else mask
    times = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    hidden = torch.zeros(mask.shape, dtype=query.dtype, device=query.device).masked_fill_(~mask, float("-inf"))
    return _capped_attention(query, key, value, hidden, scale, softcap).transpose(1, 2)


def _capped_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float, softcap: float) -> Tensor:
    scores = torch.tanh(query @ key.transpose(2, 3) * (scale / softcap)) * softcap + mask
    return scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value


def _group_attention(
    batch: Batch,
    number: int,
    query: Tensor,  # (heads, rows, head size)
    keys: Tensor,
    values: Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """(rows, heads, head size). The query heads that share a key head count as further rows."""
    sequences, rows = batch.groups[number].positions.shape
    heads, heads_per_key = query.shape[0], query.shape[0] // keys.shape[1]
    query = query.view(keys.shape[1], heads_per_key, sequences, rows, -1).permute(2, 0, 1, 3, 4).flatten(2, 3)
    key, value = batch.load(keys, number), batch.load(values, number)
    mask = batch.mask(number, heads_per_key, window, query)
    if softcap is None:
        found = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    else:
        found = _capped_attention(query, key, value, mask, scale, softcap)
    found = found.view(sequences, keys.shape[1], heads_per_key, rows, -1)
    return found.permute(0, 3, 1, 2, 4).reshape(sequences * rows, heads, -1)
