"""Supervised tuning of causal models: whole conversations, of which the answers are learned."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fastchat.train.batches import PackedBatch, PaddedBatch
from fastchat.train.examples import Examples
from fastchat.train.packing import PackedRows


class Lessons(NamedTuple):
    """What a trainer is given."""

    train: Any  # torch datasets
    evaluation: Any | None
    collate: Callable[..., dict[str, Any]]


def packed(examples: Examples, capacity: int, pad_token_id: int, seed: int, *, fills_rows: bool) -> Lessons:
    """Rows of at most `capacity` tokens (or exactly so many), in which no conversation sees another."""
    collate = PackedBatch(pad_token_id, pad_to=capacity if fills_rows else None, is_weighted=examples.is_weighted)
    evaluation = examples.evaluation and PackedRows(examples.evaluation, capacity, seed)
    return Lessons(PackedRows(examples.train, capacity, seed), evaluation, collate)


def padded(examples: Examples, pad_token_id: int) -> Lessons:
    """Conversations beside one another, filled up to the longest of a batch."""
    collate = PaddedBatch(pad_token_id, multiple_of=8, is_weighted=examples.is_weighted)
    return Lessons(examples.train, examples.evaluation, collate)
