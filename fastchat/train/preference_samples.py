"""Preferences as tokens. Masks are those of supervised tuning: behind the prompt, what the model says counts, and
nothing else does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np

from fastchat.core.errors import SetupError
from fastchat.data.records import Conversation, Message, Preference, Rated
from fastchat.train.checks import check_counts
from fastchat.train.encoding import Encoder, Sample


class Pair(NamedTuple):
    chosen: Sample
    rejected: Sample


class RatedSample(NamedTuple):
    sample: Sample
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class Samples:
    """What a trainer is given."""

    train: Sequence[Pair] | Sequence[RatedSample]
    held_out: Sequence[Pair] | Sequence[RatedSample]

    @property
    def trained_tokens(self) -> int:
        """In one epoch, both sides of a pair counted."""
        samples = (sample for one in self.train for sample in one if isinstance(sample, Sample))
        return sum(int(sample.trained.sum()) for sample in samples)

    def __post_init__(self) -> None:
        if not self.train:
            raise SetupError("Nothing is left to train on. What left it out stands in the report.")


def pairs(train: Iterable[Preference], held_out: Iterable[Preference], encoder: Encoder) -> Samples:
    """
    Raises:
        SetupError: nothing is left, or too much of it trains nothing (see `checks`).
    """
    sides = [[pair for one in side if (pair := _pair(one, encoder)) is not None] for side in (train, held_out)]
    check_counts(encoder.counts)
    return Samples(*sides)


def rated_samples(train: Iterable[Rated], held_out: Iterable[Rated], encoder: Encoder, seed: int) -> Samples:
    """Shuffled, for a batch has to hold answers to several prompts: KTO compares an answer with that to another prompt.

    Raises:
        SetupError: as `pairs`; or all answers are wanted, or none.
    """
    sides = [
        [RatedSample(sample, one.is_wanted) for one in side if (sample := _sample(one, encoder)) is not None]
        for side in (train, held_out)
    ]
    check_counts(encoder.counts)
    Random(seed).shuffle(sides[0])
    if len({one.is_wanted for one in sides[0]}) < 2:
        raise SetupError("All answers are wanted, or none is. KTO learns from both kinds; give votes that have both.")
    return Samples(*sides)


def _pair(one: Preference, encoder: Encoder) -> Pair | None:
    """None where a side trains nothing, or both are the same as far as they fit."""
    chosen, rejected = (_encoded(one.id, one.prompt, answer, encoder) for answer in (one.chosen, one.rejected))
    if chosen is None or rejected is None or np.array_equal(chosen.ids, rejected.ids):
        return None
    return Pair(chosen, rejected)


def _sample(one: Rated, encoder: Encoder) -> Sample | None:
    return _encoded(one.id, one.prompt, one.completion, encoder)


def _encoded(id: str, prompt: Sequence[Message], answer: Sequence[Message], encoder: Encoder) -> Sample | None:
    messages = [*(_untrained(message) for message in prompt), *answer]
    return next(iter(encoder.encode([Conversation(id, messages)])), None)


def _untrained(message: Message) -> Message:
    return {**message, "weight": 0} if message["role"] == "assistant" else message
