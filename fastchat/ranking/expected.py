"""How likely each outcome of a vote was, going by what others said: of these two models, and of models as far apart.

Of a vote, only what everybody else said and what its own voter said before counts, so a voter is never compared with
the very vote, and who gave most of the votes is compared with little but themselves.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Floats, Outcome
from fastchat.ranking.counts import Counts

OUTCOMES = len(Outcome)
_MOST_GROUPS = 16  # of pairs that are about as far apart
_VOTES_A_GROUP = 250
_RIDGE = 1.0  # only the order of the strengths counts, and it has to be there for any votes
_PRIOR_VOTES = (8.0, 32.0, 128.0, 512.0, 2048.0, 8192.0)  # that many of the group's votes beside those of the pair

Numbers = TypeVar("Numbers", np.int32, np.float64)


class Runs(NamedTuple):
    """Rows that belong together stand in a row: where each run starts, and to which run each row belongs."""

    starts: NDArray[np.int64]
    of: NDArray[np.int64]

    @classmethod
    def of_sorted(cls, keys: NDArray[np.int64]) -> "Runs":
        is_start = np.ones(len(keys), dtype=bool)
        is_start[1:] = keys[1:] != keys[:-1]
        return cls(np.flatnonzero(is_start), np.cumsum(is_start) - 1)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.starts, append=len(self.of))

    def cumulated(self, values: NDArray[Numbers]) -> NDArray[Numbers]:
        """Sums from the start of each run; the last axis is that of the rows."""
        sums = np.cumsum(values, axis=-1, dtype=values.dtype)
        before = sums[..., self.starts] - values[..., self.starts]
        sums -= np.repeat(before, self.lengths, axis=-1)
        return sums


def order_of(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of keys from 0 on, the least first, equal ones as they stand.

    NumPy sorts numbers many times faster than it finds their order, so each carries its place.
    """
    rows = len(keys)
    if rows == 0 or int(keys.max()) >= np.iinfo(np.int64).max // rows:
        return np.argsort(keys, kind="stable")
    return np.sort(keys * rows + np.arange(rows)) % rows


def expected(comparisons: Comparisons) -> Floats:
    """(outcomes, rows): for rows that stand in the order of their time."""
    pair = comparisons.left.astype(np.int64) * len(comparisons.models) + comparisons.right
    prior = said_otherwise(comparisons, _groups(comparisons))
    prior += 1 / OUTCOMES
    prior /= prior.sum(axis=0)
    of_pair = said_otherwise(comparisons, pair)
    others = of_pair.sum(axis=0)
    said = comparisons.outcome, np.arange(len(comparisons))
    of_pair_said, prior_said = of_pair[said], prior[said]

    def foresight(weight: float) -> float:
        """How well they foretold the votes: too much trust in the few of a pair would make honest voters suspect."""
        return float(np.log((of_pair_said + weight * prior_said) / (others + weight)).sum())

    weight = max(_PRIOR_VOTES, key=foresight)
    return np.asarray((of_pair + weight * prior) / (others + weight))


def said_otherwise(comparisons: Comparisons, group: NDArray[np.int64]) -> Floats:
    """(outcomes, rows): votes of the row's group without this one and those of its voter that follow."""
    size = int(group.max()) + 1
    cell = comparisons.outcome.astype(np.int64) * size + group
    votes = np.bincount(cell, minlength=OUTCOMES * size).reshape(OUTCOMES, size)
    key = voters_of(comparisons).astype(np.int64) * size + group
    order = order_of(key)[::-1]  # backwards: the last vote of each voter in the group first
    runs, said, of_group = Runs.of_sorted(key[order]), comparisons.outcome[order], group[order]
    result = np.empty((OUTCOMES, len(order)))
    for outcome in Outcome:
        result[outcome, order] = votes[outcome][of_group] - runs.cumulated((said == outcome).astype(np.int32))
    return result


def voters_of(comparisons: Comparisons) -> NDArray[np.int64]:
    """Each row's voter; who is not known is somebody else every time."""
    rows = len(comparisons)
    if comparisons.voter is None:
        return np.arange(rows)
    known = comparisons.voter.astype(np.int64)
    return np.where(known >= 0, known, known.max(initial=0) + 1 + np.arange(rows))


def _groups(comparisons: Comparisons) -> NDArray[np.int64]:
    """Votes on pairs about as far apart, the side included: they share how often the left one won, and ties."""
    strengths = fit_bradley_terry(Counts.of(comparisons), ridge=_RIDGE).strengths
    apart = strengths[comparisons.left] - strengths[comparisons.right]
    groups = int(np.clip(len(comparisons) // _VOTES_A_GROUP, 1, _MOST_GROUPS))
    edges = np.unique(np.quantile(apart, np.arange(1, groups) / groups))
    return np.searchsorted(edges, apart, side="right").astype(np.int64)
