"""What training would do with some conversations: what is learned of them, and what it takes. Nothing is trained."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastchat.core.errors import SetupError
from fastchat.data.records import Conversation
from fastchat.train import estimates
from fastchat.train.chat_format import ChatFormat
from fastchat.train.checks import check_counts
from fastchat.train.encoding import Counts, Encoder, Sample
from fastchat.train.estimates import Hardware, Memory, Method, ModelSize, Price
from fastchat.train.packing import Numbers, fill_rows

_BARS = 8  # of the histogram
_METHODS: tuple[Method, ...] = ("full", "LoRA", "QLoRA")


class Piece(NamedTuple):
    text: str
    is_trained: bool


class Bar(NamedTuple):
    """How many samples have first ≤ tokens ≤ last."""

    first: int
    last: int
    samples: int


@dataclass(frozen=True, slots=True)
class Batches:
    """How it would be trained."""

    max_length: int  # of a row
    epochs: float
    samples: int  # of an update
    rows: int  # that a device computes with at once
    devices: int
    packs: bool
    checkpoints: bool  # computes activations again instead of keeping them
    lora_rank: int


@dataclass(frozen=True, slots=True)
class Look:
    """At conversations, as they are encoded."""

    counts: Counts
    lengths: Numbers
    shown: Sequence[Sequence[Piece]]

    def histogram(self) -> list[Bar]:
        longest = int(self.lengths.max())
        edges = sorted({round(longest * part / _BARS) for part in range(_BARS + 1)})
        counted = [int(((self.lengths > low) & (self.lengths <= high)).sum()) for low, high in pairwise(edges)]
        return [Bar(low + 1, high, count) for (low, high), count in zip(pairwise(edges), counted, strict=True)]


@dataclass(frozen=True, slots=True)
class Preview:
    model: str
    chat_format: ChatFormat
    look: Look
    batches: Batches
    problems: Sequence[str]  # with which training would not begin
    rows: int  # an epoch
    efficiency: float  # real tokens by positions
    padded: float  # the same if all were padded to the longest allowed, as FastChat did
    updates: int
    size: ModelSize
    memory: Mapping[Method, Memory]
    prices: Sequence[Price]


def look_at(conversations: Iterable[Conversation], encoder: Encoder, tokenizer: Any, show: int) -> Look:
    """
    Raises:
        SetupError: the template is wrong, or a text is none.
    """
    lengths: list[int] = []
    shown: list[list[Piece]] = []
    for sample in encoder.encode(conversations):
        lengths.append(len(sample.ids))
        if len(shown) < show:
            shown.append(list(pieces(tokenizer, sample)))
    return Look(encoder.counts, np.array(lengths, dtype=np.int64), shown)


def pieces(tokenizer: Any, sample: Sample) -> Iterator[Piece]:
    """The text of the tokens themselves, parted where what is trained begins and ends."""
    changes = np.flatnonzero(np.diff(sample.trained)) + 1
    before = ""
    for first, end in pairwise([0, *changes.tolist(), len(sample.ids)]):
        text = tokenizer.decode(sample.ids[:end].tolist(), clean_up_tokenization_spaces=False)
        yield Piece(text[len(before) :], bool(sample.trained[first]))
        before = text


def preview(
    look: Look, config: Any, chat_format: ChatFormat, model: str, batches: Batches, hardware: Sequence[Hardware]
) -> Preview:
    """
    Raises:
        SetupError: there is nothing to train on, or the model's size cannot be told.
    """
    lengths = look.lengths
    if not len(lengths):
        check_counts(look.counts)
    rows, positions = _rows(lengths, batches)
    size = estimates.measure(config)
    at_once = batches.max_length * batches.rows
    needs = {
        method: estimates.memory(
            size, method, tokens=at_once, checkpointing=batches.checkpoints, lora_rank=batches.lora_rank
        )
        for method in _METHODS
    }
    seen = int((lengths**2).sum() / lengths.sum())  # how far a token's document reaches, on average
    done = estimates.operations(size, round(positions * batches.epochs), seen)
    return Preview(
        model=model,
        chat_format=chat_format,
        look=look,
        batches=batches,
        problems=_problems(look.counts),
        rows=rows,
        efficiency=float(lengths.sum()) / positions,
        padded=float(lengths.sum()) / (len(lengths) * batches.max_length),
        updates=math.ceil(math.ceil(len(lengths) / batches.samples) * batches.epochs),
        size=size,
        memory=needs,
        prices=[estimates.price(size, each, needs, done, batches.devices) for each in hardware],
    )


def _rows(lengths: Numbers, batches: Batches) -> tuple[int, int]:
    """Rows of an epoch, and all their positions."""
    if batches.packs:
        rows = int(fill_rows(np.sort(lengths)[::-1], batches.max_length).max()) + 1
        return rows, rows * batches.max_length
    drawn = np.random.default_rng(0).permutation(lengths)
    groups = [drawn[first : first + batches.rows] for first in range(0, len(drawn), batches.rows)]
    return len(lengths), sum(int(group.max()) * len(group) for group in groups)


def _problems(counts: Counts) -> list[str]:
    try:
        check_counts(counts)
    except SetupError as error:
        return [error.message]
    return []
