"""Intervals by drawing votes again: as many as there are, from those that there are, a thousand times.

Votes on the same pair with the same outcome are alike to Bradley-Terry, so what is drawn is how many there are of
each, and all rounds are fitted at once, from the strengths of all votes.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import NOBODY, Codes, Comparisons, Floats, Mask
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.likelihood import Folded, fold
from fastchat.ranking.results import Estimates, Unbounded

ROUNDS = 1000
_BLOCK = 20  # rounds that are fitted at once; their matrices fit into a core's cache
_MOST = 2_000_000  # numbers that are drawn at once
_STEP = 1e-6  # Newton's steps square: after one as short as this, the next would change nothing
_STEPS = 200
_FAR = 0.5  # steps of more are shortened
_MARGIN = 5.0  # standard errors between a Poisson total and the number of votes: one in millions exceeds it


def bootstrap(
    counts: Counts, *, both_bad: BothBad = BothBad.HALF, ridge: float = 0.0, rounds: int = ROUNDS, seed: int = 0
) -> Estimates:
    """The strengths of all votes, with draws of as many votes from them, and the draws' covariance.

    The graph is that of all votes: if in a round a component has no finite optimum, its models are given the fit's
    imagined ties in that round, also if it falls apart. A model without a bound wins in every round, so that its
    draws look more certain than it is: its variance is at least that of the fit.

    Raises:
        ValueError: there is no vote, there are fewer than two rounds, or "both bad" is an outcome of its own.
    """
    fit = _fitted(counts, both_bad, ridge, rounds)
    cells = _Cells.of(counts, both_bad)
    rng = np.random.default_rng(seed)
    blocks = (cells.worth(votes, rng) for votes in _multinomials(cells.votes, rounds, rng))
    return _with_draws(fit, blocks, ridge, {"covariance": "bootstrap", "rounds": rounds, "seed": seed})


def bootstrap_clusters(
    comparisons: Comparisons,
    groups: Codes,
    *,
    both_bad: BothBad = BothBad.HALF,
    ridge: float = 0.0,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Estimates:
    """As `bootstrap`, but what is drawn is voters, or other groups, with all their votes.

    `groups` has a code for each comparison; each of NOBODY is a group of its own.

    Raises:
        ValueError: as of `bootstrap`.
    """
    fit = _fitted(Counts.of(comparisons), both_bad, ridge, rounds)
    worth = _worth_by_group(comparisons, groups, both_bad)
    once = np.ones(worth.shape[1], np.int64)
    rng = np.random.default_rng(seed)
    blocks = (_total(worth, times) for times in _multinomials(once, rounds, rng))
    found = {"covariance": "bootstrap by group", "groups": worth.shape[1], "rounds": rounds, "seed": seed}
    digest = hashlib.sha256(np.ascontiguousarray(groups).data).hexdigest()
    return _with_draws(fit, blocks, ridge, {**found, "groups_digest": digest})


def refit(worth: Floats, start: Floats, component: Codes, ridge: float = 0.0) -> Floats:
    """(rounds, models): strengths of most likelihood of each round, all from one start, by Newton's method.

    `worth` is (rounds, models, models): wins and half of ties, of the row's model against the column's. A long step,
    in which strengths change by d against each other, is shortened to log(1 + d) / d of it, which makes the method
    converge from anywhere on losses like this one, without looking at the loss (Sun and Tran-Dinh 2019).
    """
    met = worth + worth.transpose(0, 2, 1)
    same = component[:, None] == component
    held = np.zeros(worth.shape[:2], np.bool_) if ridge else _has_no_optimum(worth, same)
    centre = np.eye(len(same)) - same / same.sum(axis=1)
    strengths = np.repeat(start[None], len(worth), axis=0)
    for _ in range(_STEPS):
        chance = expit(strengths[:, :, None] - strengths[:, None, :])
        won = met * chance
        gradient = (worth - won).sum(axis=2) - ridge * strengths
        won *= 1 - chance
        curvature = _curvature(won, same, ridge)
        if held.any():
            expected = expit(strengths)
            gradient += (held * (0.5 - expected)) @ centre
            curvature += centre @ ((held * expected * (1 - expected))[:, :, None] * centre)
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        change = np.ptp(step, axis=1)
        strengths += step * np.where(change > _FAR, np.log1p(change) / np.maximum(change, _FAR), 1)[:, None]
        if change.max() < _STEP:
            centred: Floats = strengths @ centre
            return centred
    raise ValueError("no optimum in some rounds: the weights of the votes lie too far apart")


def _has_no_optimum(worth: Floats, same: Mask) -> Mask:
    """(rounds, models): in a component that is not strongly connected in that round.

    It is if its first model reaches all others along wins, and they reach it.
    """
    won = (worth > 0).astype(np.float32)
    start = np.zeros((len(won), 1, len(same)), np.float32)
    start[:, :, np.unique(same.argmax(axis=1))] = 1
    reached_both_ways = _reached(start, won) & _reached(start, won.transpose(0, 2, 1))
    found: Mask = ~reached_both_ways @ same
    return found


def _reached(start: NDArray[np.float32], along: NDArray[np.float32]) -> Mask:
    """(rounds, models): from those that are 1 in `start`, in any number of steps."""
    reached = start
    while True:
        further = np.maximum(reached, (reached @ along > 0).astype(np.float32))
        if np.array_equal(further, reached):
            return np.asarray(reached[:, 0] > 0)
        reached = further


def _curvature(weights: Floats, same: Mask, ridge: float) -> Floats:
    """(rounds, models, models): Laplacians of the pairs' weights, made positive definite for shifts of a component.

    The weights are used up.
    """
    level = 1 + weights.sum(axis=(1, 2)) / len(same)
    diagonal = weights.sum(axis=2) + ridge
    curvature: Floats = np.subtract(level[:, None, None] * same, weights, out=weights)
    places = np.arange(len(same))
    curvature[:, places, places] += diagonal
    return curvature


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Kinds of votes that are alike to the fit: this model won against that one, or these two tied."""

    winner: NDArray[np.int64]  # (cells,)
    loser: NDArray[np.int64]
    is_tie: Mask
    votes: NDArray[np.int64]
    mean: Floats  # of their weights
    variance: Floats
    models: int

    @classmethod
    def of(cls, counts: Counts, both_bad: BothBad) -> "_Cells":
        votes, weights, squares = (
            _flat(fold(array, both_bad)) for array in (counts.votes.astype(np.float64), counts.weights, counts.squares)
        )
        kept = np.flatnonzero(votes)
        is_tie, winner, loser = np.unravel_index(kept, (2, len(counts.models), len(counts.models)))
        mean = weights[kept] / votes[kept]
        variance = squares[kept] / votes[kept] - mean**2
        variance[variance < 1e-12 * mean**2] = 0.0
        return cls(winner, loser, is_tie == 1, votes[kept].astype(np.int64), mean, variance, len(counts.models))

    def worth(self, votes: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """(rounds, models, models): what so many votes (rounds, cells) are worth to the row's model."""
        weights = self._weights(votes, rng)
        worth = np.zeros((len(votes), self.models, self.models))
        decided = self.winner[~self.is_tie], self.loser[~self.is_tie]
        worth[:, *decided] = weights[:, ~self.is_tie]
        one, other = self.winner[self.is_tie], self.loser[self.is_tie]
        half = weights[:, self.is_tie] / 2
        worth[:, one, other] += half
        worth[:, other, one] += half
        return worth

    def _weights(self, votes: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """Sums of that many weights; where a cell's weights differ, a gamma of their mean and variance."""
        weights = votes * self.mean
        vary = self.variance > 0
        if vary.any():
            ratio = self.variance[vary] / self.mean[vary]
            weights[:, vary] = rng.gamma(weights[:, vary] / ratio, ratio)
        return weights


def _flat(votes: Folded) -> Floats:
    """(2 * models * models,): wins, then ties above the diagonal."""
    return np.concatenate([votes.wins.ravel(), np.triu(votes.ties).ravel()])


def _multinomials(votes: NDArray[np.int64], rounds: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """In blocks (rounds, cells): as many votes as there are, each from any.

    Independent Poisson numbers with a total that is almost surely too small, filled up vote by vote: the same
    distribution as of numpy's `multinomial`, in a fraction of its time.
    """
    number = int(votes.sum())
    share = max(0.0, 1 - _MARGIN / math.sqrt(number))
    cell = np.repeat(np.arange(len(votes), dtype=np.int32), votes)
    block = max(1, min(_BLOCK, _MOST // len(votes)))
    for start in range(0, rounds, block):
        shape = min(block, rounds - start), len(votes)
        drawn = rng.poisson(votes * share, shape)
        while (too_many := drawn.sum(axis=1) > number).any():
            drawn[too_many] = rng.poisson(votes * share, (int(too_many.sum()), len(votes)))
        lacking = number - drawn.sum(axis=1)
        filled = cell[rng.integers(number, size=int(lacking.sum()))]
        filled = filled + np.repeat(np.arange(shape[0]) * shape[1], lacking)
        drawn += np.bincount(filled, minlength=drawn.size).reshape(shape)
        yield drawn


def _worth_by_group(comparisons: Comparisons, groups: Codes, both_bad: BothBad) -> csr_array:
    """(models * models, groups): what the group's votes are worth to the row's model against the column's."""
    size = len(comparisons.models)
    group = np.array(groups, dtype=np.int64)
    alone = group == NOBODY
    group[alone] = group.max(initial=-1) + 1 + np.arange(alone.sum())
    _, group = np.unique(group, return_inverse=True)
    weight = np.ones(len(comparisons)) if comparisons.weight is None else comparisons.weight
    bad = 0.5 if both_bad is BothBad.HALF else 0.0
    to_left = np.array([1.0, 0.0, 0.5, bad])[comparisons.outcome] * weight
    to_right = np.array([0.0, 1.0, 0.5, bad])[comparisons.outcome] * weight
    left, right = comparisons.left.astype(np.int64), comparisons.right.astype(np.int64)
    cells = np.concatenate([left * size + right, right * size + left])
    shape = size * size, int(group.max()) + 1
    worth = csr_array((np.concatenate([to_left, to_right]), (cells, np.tile(group, 2))), shape=shape)
    worth.eliminate_zeros()
    return worth


def _total(worth: csr_array, times: NDArray[np.int64]) -> Floats:
    """(rounds, models, models), if each group's votes count that many times (rounds, groups)."""
    size = math.isqrt(worth.shape[0])
    total: Floats = (worth @ times.T.astype(np.float64)).T.reshape(len(times), size, size)
    return total


def _fitted(counts: Counts, both_bad: BothBad, ridge: float, rounds: int) -> Estimates:
    if rounds < 2:
        raise ValueError(f"a bootstrap needs at least 2 rounds, and a thousand are usual; given: {rounds}")
    if both_bad is BothBad.OWN:
        raise ValueError("no bootstrap where both-bad is an outcome of its own; choose half or drop, or the sandwich")
    return fit_bradley_terry(counts, both_bad=both_bad, ridge=ridge)


def _with_draws(fit: Estimates, blocks: Iterator[Floats], ridge: float, found: Mapping[str, Any]) -> Estimates:
    draws = np.concatenate([refit(worth, fit.strengths, fit.component, ridge) for worth in blocks])
    same = fit.component[:, None] == fit.component
    covariance = np.atleast_2d(np.cov(draws, rowvar=False)) * same
    lacking = np.maximum(np.diagonal(fit.covariance) - np.diagonal(covariance), 0)
    covariance += np.diag(lacking * (fit.unbounded != Unbounded.NO))
    return replace(fit, covariance=covariance, draws=draws, parameters={**fit.parameters, **found})
