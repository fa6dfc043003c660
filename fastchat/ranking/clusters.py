"""Errors that allow for voters who vote alike: all votes of one voter are one draw, not many."""

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from fastchat.ranking.bradley_terry import METHOD
from fastchat.ranking.comparisons import NOBODY, Codes, Comparisons, Floats, Mask, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.likelihood import Likelihood, chances, laplacian
from fastchat.ranking.results import Estimates

WORTH = np.array([1.0, 0.0, 0.5, 0.5])  # to the left model, by Outcome
CELLS = 1_000_000  # of groups and models that are multiplied out at a time: 8 MB stay in the cache


def clustered(
    estimates: Estimates, comparisons: Comparisons, groups: Codes, both_bad: BothBad = BothBad.HALF
) -> Estimates:
    """The same strengths, with the sandwich whose middle is made of the sums of each group's votes.

    `groups` has a code a vote, equal for the same voter (or prompt); NOBODY's votes are a group each. There is no
    correction for few groups: with a few dozen, the errors come out somewhat too small.

    Raises:
        ValueError: the estimates are not Bradley-Terry's of these comparisons.
    """
    _check(estimates, comparisons, groups, both_bad)
    likelihood = Likelihood.of(Counts.of(comparisons), both_bad, estimates.parameters["ridge"])
    scores = _Scores.of(comparisons, groups, both_bad, estimates.strengths)
    alone, others = scores.select(scores.is_alone), scores.select(~scores.is_alone)
    middle = _of_singles(alone, len(estimates.models)) + _of_groups(others, len(estimates.models))
    return replace(
        estimates,
        covariance=likelihood.covariance(estimates.strengths, middle),
        parameters={
            **estimates.parameters,
            "covariance": "clustered",
            "groups": len(alone.group) + int(others.is_first.sum()),
            "groups_digest": hashlib.sha256(np.ascontiguousarray(groups).data).hexdigest(),
        },
    )


def _check(estimates: Estimates, comparisons: Comparisons, groups: Codes, both_bad: BothBad) -> None:
    if estimates.method != METHOD:
        raise ValueError(f"errors by voter are there for {METHOD}, and these estimates are {estimates.method}'s")
    if estimates.models != comparisons.models:
        raise ValueError("these estimates are of other models than the comparisons")
    if estimates.parameters["both_bad"] != both_bad:
        raise ValueError(f"both-bad votes are {both_bad} here, and {estimates.parameters['both_bad']} in the estimates")
    if groups.shape != comparisons.left.shape:
        raise ValueError(f"there are {len(groups)} codes of groups for {len(comparisons)} comparisons")


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Of votes in the order of their groups: how each pulls at its two models."""

    left: Codes
    right: Codes
    group: Codes
    residual: Floats  # at the left model; at the right one it is the negative

    @classmethod
    def of(cls, comparisons: Comparisons, groups: Codes, both_bad: BothBad, strengths: Floats) -> "_Scores":
        order = np.argsort(groups)
        if both_bad is BothBad.DROP:
            order = order[comparisons.outcome[order] != Outcome.BOTH_BAD]
        left, right = comparisons.left[order], comparisons.right[order]
        residual = WORTH[comparisons.outcome[order]] - chances(strengths)[left, right]
        if comparisons.weight is not None:
            residual *= comparisons.weight[order]
        return cls(left, right, groups[order], residual)

    def select(self, rows: Mask | slice) -> "_Scores":
        return _Scores(self.left[rows], self.right[rows], self.group[rows], self.residual[rows])

    @property
    def is_first(self) -> Mask:
        """Of its group."""
        result: Mask = np.diff(self.group, prepend=NOBODY - 1) != 0
        return result

    @property
    def is_alone(self) -> Mask:
        is_last = np.roll(self.is_first, -1)  # the next one is the first of another
        result: Mask = (self.is_first & is_last) | (self.group == NOBODY)
        return result


def _of_singles(scores: _Scores, size: int) -> Floats:
    cell = scores.left.astype(np.int64) * size + scores.right
    by_pair: Floats = (
        np.bincount(cell, scores.residual**2, size * size).astype(np.float64, copy=False).reshape(size, size)
    )
    return laplacian(by_pair + by_pair.T)


def _of_groups(scores: _Scores, size: int) -> Floats:
    middle = np.zeros((size, size))
    starts = np.flatnonzero(scores.is_first)[:: max(CELLS // size, 1)]
    for start, end in pairwise([*starts, len(scores.group)]):
        sums = _sums(scores.select(slice(start, end)), size)
        middle += sums.T @ sums
    return middle


def _sums(scores: _Scores, size: int) -> Floats:
    """(groups, models)"""
    row = (np.cumsum(scores.is_first) - 1) * size
    cell = np.concatenate([row + scores.left, row + scores.right])
    pull = np.concatenate([scores.residual, -scores.residual])
    sums: Floats = np.bincount(cell, pull, int(row[-1]) + size).astype(np.float64, copy=False).reshape(-1, size)
    return sums
