"""Continuous batching: every step computes the next token of all sequences that have one pending, and reads on in the
prompts of those that do not, in one forward pass.

Keys and values lie in blocks (`blocks.py` says whose), attention over them is ours (`attention.py`), the rest is the
model's own code. When the blocks run out, the youngest sequence gives up its own and is computed anew later.
"""

import inspect
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from typing import Any

import torch
from torch import Tensor

from fastchat.engines.hf.adapters import using_adapter
from fastchat.engines.hf.attention import Batch, Group, KeyValueBlocks
from fastchat.engines.hf.backend import Step
from fastchat.engines.hf.blocks import PADDING, BlockPool
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.speculation import DraftModel


@dataclass(slots=True, eq=False)
class _Sequence:
    key: int
    tokens: list[int]
    adapter: str | None
    may_share: bool
    done: int = 0  # tokens whose keys and values are there
    shared: int = 0  # of these, what others had computed
    begins_anew: bool = False
    blocks: list[int] = field(default_factory=list)
    beginning: int = 0  # the last published one
    published: int = 0  # blocks
    foreseen: deque[tuple[int, Tensor]] = field(default_factory=deque)  # guessed tokens, and the logits after each
    ready: Tensor | None = None  # logits that are due and need not be computed

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.done


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a sequence a step computes."""

    sequence: _Sequence
    length: int  # of its own tokens
    guesses: Sequence[int] = ()

    @property
    def rows(self) -> int:
        return self.length + len(self.guesses)

    @property
    def end(self) -> int:
        return self.sequence.done + self.rows

    @property
    def tokens(self) -> list[int]:
        done = self.sequence.done
        return [*self.sequence.tokens[done : done + self.length], *self.guesses]

    @property
    def is_last(self) -> bool:
        return self.sequence.done + self.length == len(self.sequence.tokens)


class PagedBackend:
    def __init__(
        self, loaded: LoadedModel, memory: KeyValueBlocks, *, prompt_rows: int, draft: DraftModel | None = None
    ) -> None:
        self._draft = draft
        self._loaded = loaded
        self._memory = memory
        self._pool = BlockPool(memory.count, memory.size)
        self._prompt_rows = prompt_rows  # of prompts, read in one step
        self._sequences: dict[int, _Sequence] = {}  # the oldest first
        self._keeps_logits = "logits_to_keep" in inspect.signature(loaded.model.forward).parameters

    def add(
        self,
        key: int,
        prompt: Sequence[int],
        *,
        adapter: str | None = None,
        may_share: bool = False,
        inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self._sequences[key] = _Sequence(key, list(prompt), adapter, may_share, beginning=self._root(adapter))

    def step(self) -> Step:
        found = [self._forward(parts) for parts in _by_adapter(self._schedule())]
        found += [_ready_step(sequence) for sequence in self._sequences.values() if sequence.ready is not None]
        keys = tuple(key for step in found for key in step.keys)
        return Step(keys, torch.cat([step.logits for step in found]) if found else torch.empty((0, 0)))

    def append(self, key: int, token: int) -> None:
        sequence = self._sequences[key]
        sequence.tokens.append(token)
        if sequence.foreseen and sequence.foreseen[0][0] == token:
            _, sequence.ready = sequence.foreseen.popleft()
            sequence.done += 1
            self._publish(sequence)
        else:
            sequence.foreseen.clear()

    def rewrite(self, key: int, tokens: Sequence[int]) -> None:
        """The sequence shall have these tokens; what it has in common with them is kept."""
        sequence = self._sequences[key]
        pairs = zip(sequence.tokens, tokens, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        sequence.tokens = list(tokens)
        sequence.done = min(sequence.done, same, len(tokens) - 1)

    def remove(self, key: int) -> None:
        if (sequence := self._sequences.pop(key, None)) is not None:
            self._pool.release(sequence.blocks)
        if self._draft is not None and not self._sequences:
            self._draft.forget()

    def shared_tokens(self, key: int) -> int:
        return self._sequences[key].shared

    def close(self) -> None:
        self._sequences.clear()
        self._memory.layers.clear()

    def _schedule(self) -> list[_Part]:
        """One row for each sequence that answers, the rest for prompts, the oldest first."""
        parts: list[_Part] = []
        rows_left = self._prompt_rows
        for sequence in list(self._sequences.values()):
            if sequence.done == 0 and not sequence.blocks:
                self._share(sequence)
            rows = min(sequence.pending, rows_left if sequence.pending > 1 else 1)
            if rows == 0 or not self._reserve(sequence, sequence.done + rows, parts):
                continue
            rows_left -= rows if sequence.pending > 1 else 0
            parts.append(_Part(sequence, rows))
        return [self._with_guesses(parts[0])] if len(self._sequences) == len(parts) == 1 else parts

    def _with_guesses(self, part: _Part) -> _Part:
        sequence = part.sequence
        if self._draft is None or part.length > 1:
            return part
        guesses = self._draft.guess(sequence.key, sequence.tokens, self._loaded.context_length)
        guessed = _Part(sequence, part.length, guesses)
        return guessed if self._reserve(sequence, guessed.end, [guessed]) else part

    def _reserve(self, sequence: _Sequence, tokens: int, scheduled: list[_Part]) -> bool:
        """Blocks for so many tokens, if need be from sequences younger than this one."""
        missing = -(-tokens // self._pool.size) - len(sequence.blocks)
        while missing > self._pool.available:
            youngest = next(other for other in reversed(self._sequences.values()) if other.blocks or other is sequence)
            if youngest is sequence or any(part.sequence is youngest for part in scheduled):
                return False
            self._pool.release(youngest.blocks)
            youngest.blocks, youngest.done, youngest.published, youngest.ready = [], 0, 0, None
            youngest.foreseen.clear()
            youngest.begins_anew = True
            youngest.beginning = self._root(youngest.adapter)
        sequence.blocks += [self._pool.take() for _ in range(missing)]
        return True

    def _share(self, sequence: _Sequence) -> None:
        """Take over what is known of its beginning. At least one token has to be computed, or there are no logits."""
        if not sequence.may_share:
            return
        found = self._pool.find(sequence.beginning, sequence.tokens[:-1])
        if found:
            sequence.blocks = [beginning.block for beginning in found]
            sequence.beginning, sequence.published = found[-1].number, len(found)
            sequence.done = len(found) * self._pool.size
            if not sequence.begins_anew:  # else it may have found its own
                sequence.shared = sequence.done

    def _forward(self, parts: list[_Part]) -> Step:
        parts = [part for group in _grouped(parts, self._pool.size) for part in group]
        due, ends = _due_rows(parts)
        ends_tensor = self._tensor(ends)
        tokens = [part.tokens for part in parts]
        positions = [range(part.sequence.done, part.end) for part in parts]
        with torch.inference_mode(), using_adapter(self._loaded, parts[0].sequence.adapter):
            output = self._loaded.model(
                input_ids=self._tensor([token for part in tokens for token in part])[None],
                position_ids=self._tensor([position for part in positions for position in part])[None],
                # With four dimensions it counts as a finished mask and none is made; ours is in the batch.
                attention_mask=torch.empty((1, 1, 1, 1), device=self._loaded.device),
                batch=self._batch(parts),
                use_cache=False,
                **({"logits_to_keep": ends_tensor} if self._keeps_logits else {}),
            )
            logits = output.logits[0] if self._keeps_logits else output.logits[0, ends_tensor]
        logits = logits.float()
        for part in parts:
            part.sequence.done += part.length
            self._publish(part.sequence)
        if parts[0].guesses:  # then it is the only one
            parts[0].sequence.foreseen = deque(zip(parts[0].guesses, logits[1:], strict=True))
            logits = logits[:1]
        return Step(due, logits)

    def _batch(self, parts: list[_Part]) -> Batch:
        size = self._memory.size
        groups, row = [], 0
        for group in _grouped(parts, size):
            longest = max(_blocks_needed(part, size) for part in group)
            table = [_padded(part.sequence.blocks[: _blocks_needed(part, size)], longest) for part in group]
            positions = [list(range(part.sequence.done, part.end)) for part in group]
            groups.append(Group(row, self._tensor(positions), self._tensor(table)))
            row += groups[-1].positions.numel()
        targets = [
            part.sequence.blocks[position // size] * size + position % size
            for part in parts
            for position in range(part.sequence.done, part.end)
        ]
        return Batch(self._memory, groups, self._tensor(targets))

    def _publish(self, sequence: _Sequence) -> None:
        size = self._pool.size
        while (sequence.published + 1) * size <= sequence.done:
            number = sequence.published
            tokens = sequence.tokens[number * size : (number + 1) * size]
            sequence.beginning = self._pool.publish(sequence.beginning, tokens, sequence.blocks[number])
            sequence.published += 1

    def _root(self, adapter: str | None) -> int:
        """Where the beginnings start; each adapter computes other keys and values."""
        return 0 if adapter is None else -1 - self._loaded.adapters.index(adapter)

    def _tensor(self, numbers: Sequence[Any]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._loaded.device)


def _by_adapter(parts: list[_Part]) -> Iterator[list[_Part]]:
    for adapter in dict.fromkeys(part.sequence.adapter for part in parts):
        yield [part for part in parts if part.sequence.adapter == adapter]


def _grouped(parts: list[_Part], size: int) -> Iterator[list[_Part]]:
    """What is computed together: sequences with one row whose lengths differ by less than twice, others each alone."""

    def kind(part: _Part) -> tuple[int, int]:
        if part.rows == 1:
            return 0, _blocks_needed(part, size).bit_length()
        return 1, part.sequence.key

    for _, group in groupby(sorted(parts, key=kind), key=kind):
        yield list(group)


def _blocks_needed(part: _Part, size: int) -> int:
    return -(-part.end // size)


def _padded(blocks: list[int], length: int) -> list[int]:
    return blocks + [PADDING] * (length - len(blocks))


def _due_rows(parts: list[_Part]) -> tuple[tuple[int, ...], list[int]]:
    """The sequences whose next token this pass tells; and the row of each, with those of its guesses."""
    keys: list[int] = []
    ends: list[int] = []
    row = 0
    for part in parts:
        first, row = row + part.length - 1, row + part.rows
        if part.is_last:
            keys.append(part.sequence.key)
            ends += range(first, row)
    return tuple(keys), ends


def _ready_step(sequence: _Sequence) -> Step:
    logits, sequence.ready = sequence.ready, None
    assert logits is not None
    return Step((sequence.key,), logits[None])
