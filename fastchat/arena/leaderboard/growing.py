"""Votes added up one by one, in whole numbers: whatever their order, the same votes give the same counts.

Models are known by the place in which they were first met. What a vote is counted under, its cell, is one number, so
that a vote costs next to nothing until somebody looks.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from fastchat.ranking.comparisons import Outcome
from fastchat.ranking.counts import Counts

DAY_S = 86400

_BITS = 20  # of a model's place
_PLACE = (1 << _BITS) - 1
_WAITING = 1 << 16  # votes that are added up together at the latest


def cell(outcome: Outcome, left: int, right: int) -> int:
    return (outcome << 2 * _BITS) | (left << _BITS) | right


class GrowingCounts:
    def __init__(self) -> None:
        self._votes = np.zeros((len(Outcome), 0, 0), np.int64)
        self._waiting: list[int] = []
        self.number = 0

    def add(self, one: int) -> None:
        self._waiting.append(one)
        self.number += 1
        if len(self._waiting) >= _WAITING:
            self._add_up()

    def add_many(self, cells: Counter[int]) -> None:
        self._count(list(cells), list(cells.values()))
        self.number += cells.total()

    def counts(self, names: Sequence[str]) -> Counts:
        """A copy, in the alphabet's order. `names`: of all models, by place."""
        self._add_up()
        at = np.array(sorted(range(self._votes.shape[1]), key=lambda place: names[place]), np.intp)
        votes = self._votes[:, at[:, None], at]
        once = votes.astype(np.float64)
        return Counts(tuple(names[place] for place in at), votes, once, once)

    def _add_up(self) -> None:
        if self._waiting:
            self._count(self._waiting, [1] * len(self._waiting))
            self._waiting = []

    def _count(self, cells: Collection[int], times: Sequence[int]) -> None:
        codes = np.fromiter(cells, np.int64, len(cells))
        left, right = (codes >> _BITS) & _PLACE, codes & _PLACE
        missing = int(max(left.max(), right.max())) + 1 - self._votes.shape[1]
        if missing > 0:
            self._votes = np.pad(self._votes, ((0, 0), (0, missing), (0, missing)))
        np.add.at(self._votes, (codes >> 2 * _BITS, left, right), times)


class Days:
    """How many votes each day brought, so that a past day's counts can be had again."""

    def __init__(self) -> None:
        self._cells: dict[int, Counter[int]] = {}

    def add(self, one: int, at: float) -> None:
        day = int(at // DAY_S)
        if day not in self._cells:
            self._cells[day] = Counter()
        self._cells[day][one] += 1

    def votes_until(self) -> dict[float, int]:
        """The end of each day with votes, and how many votes there were by then."""
        total, result = 0, {}
        for day in sorted(self._cells):
            total += self._cells[day].total()
            result[float((day + 1) * DAY_S)] = total
        return result

    def copy(self) -> "Days":
        copied = Days()
        copied._cells = {day: cells.copy() for day, cells in self._cells.items()}
        return copied

    def counts_until(self) -> Iterator[tuple[float, GrowingCounts]]:
        """The same counts growing from day to day; look at them before you go on."""
        growing = GrowingCounts()
        for day in sorted(self._cells):
            growing.add_many(self._cells[day])
            yield float((day + 1) * DAY_S), growing
