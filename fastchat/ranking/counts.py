"""Votes added up by pair of models, side and outcome: all that a fit without voters or style needs of them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from fastchat.ranking.comparisons import Comparisons, Floats, Outcome


class BothBad(StrEnum):
    """What is made of "both are bad"."""

    HALF = "half"  # a tie, as published boards have it
    DROP = "drop"
    OWN = "own"  # an outcome of its own: neither was chosen


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Of models on the left (second axis) against models on the right (third axis), by outcome (first axis).

    Without weights all three arrays are equal and whole numbers, so adding them up is exact in any order.
    """

    models: tuple[str, ...]
    votes: NDArray[np.int64]  # (4, models, models): how many
    weights: Floats  # (4, models, models): their weights
    squares: Floats  # (4, models, models): their weights squared, which the variance of weighted votes is made of

    @classmethod
    def of(cls, comparisons: Comparisons) -> "Counts":
        size = len(comparisons.models)
        shape = (len(Outcome), size, size)
        cell = np.ravel_multi_index((comparisons.outcome.astype(np.int64), comparisons.left, comparisons.right), shape)
        length = len(Outcome) * size * size
        votes = np.bincount(cell, minlength=length).reshape(shape)
        if comparisons.weight is None:
            once = votes.astype(np.float64)
            return cls(comparisons.models, votes, once, once)

        def total(of: Floats) -> Floats:
            return np.bincount(cell, of, length).astype(np.float64, copy=False).reshape(shape)

        return cls(comparisons.models, votes, total(comparisons.weight), total(comparisons.weight**2))

    @classmethod
    def empty(cls, models: Iterable[str] = ()) -> "Counts":
        names = tuple(models)
        shape = (len(Outcome), len(names), len(names))
        return cls(names, np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape))

    @classmethod
    def total(cls, shards: Iterable["Counts"]) -> "Counts":
        return reduce(add, shards, cls.empty())

    def __add__(self, other: "Counts") -> "Counts":
        """Over the models of both, by name and in the alphabet's order."""
        names = tuple(sorted({*self.models, *other.models}))
        mine, theirs = self.over(names), other.over(names)
        return Counts(names, mine.votes + theirs.votes, mine.weights + theirs.weights, mine.squares + theirs.squares)

    def over(self, models: tuple[str, ...]) -> "Counts":
        """Of these models only, in this order; of those that are new here there are no votes."""
        if models == self.models:
            return self
        place = {name: at for at, name in enumerate(self.models)}
        kept = [(at, place[name]) for at, name in enumerate(models) if name in place]
        result = Counts.empty(models)
        if kept:
            to, of = (np.array(side) for side in zip(*kept, strict=True))
            for mine, its in zip(self._arrays, result._arrays, strict=True):
                its[:, to[:, None], to] = mine[:, of[:, None], of]
        return result

    @property
    def _arrays(self) -> tuple[NDArray[np.int64], Floats, Floats]:
        return self.votes, self.weights, self.squares

    def without(self, *outcomes: Outcome) -> "Counts":
        kept = np.array([outcome not in outcomes for outcome in Outcome])[:, None, None]
        return Counts(self.models, self.votes * kept, self.weights * kept, self.squares * kept)

    @property
    def is_weighted(self) -> bool:
        # The sum alone could be the number of votes by chance; with that of the squares, every weight is 1.
        return not (np.array_equal(self.votes, self.weights) and np.array_equal(self.votes, self.squares))

    @property
    def number(self) -> int:
        """How many votes there are."""
        return int(self.votes.sum())

    @property
    def votes_of(self) -> NDArray[np.int64]:
        """(models,): how many votes each took part in, on either side."""
        by_pair = self.votes.sum(axis=0)
        total: NDArray[np.int64] = by_pair.sum(axis=0) + by_pair.sum(axis=1)
        return total

    @property
    def digest(self) -> str:
        """SHA-256 of names and numbers. Without weights, it is the same for the same votes in any order."""
        hashed = hashlib.sha256("\0".join(self.models).encode())
        for array in self._arrays if self.is_weighted else self._arrays[:1]:
            hashed.update(b"+" + np.ascontiguousarray(array).data)
        return hashed.hexdigest()
