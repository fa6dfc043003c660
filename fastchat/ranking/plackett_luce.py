"""Rankings of two models or more by Plackett and Luce: the best is chosen, then the best of the rest, and so on.

A model is chosen as often as exp(strength) says. With lists of two it is Bradley-Terry. It knows no places that models
share, except for the last: a list may be in order only up to some depth.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Codes, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.likelihood import Likelihood
from fastchat.ranking.newton import Derivatives, minimum
from fastchat.ranking.results import Estimates

METHOD = "plackett-luce"
_NUMBERS = 1 << 20  # that are held at once, of pairs of places in lists


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """Lists of some of the models each, best first."""

    models: tuple[str, ...]  # a model's code is its place here
    items: Codes  # of all lists, one after the other
    length: NDArray[np.int64]  # (lists,)
    depth: NDArray[np.int64] | None = (
        None  # (lists,): that many are in order, all others come after these; None: all are
    )
    weight: Floats | None = None  # (lists,), above 0; None: each counts once

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: a list has fewer than two models or one of them twice, a code names no model, a depth or a
                weight is out of range, or columns differ in length.
        """
        columns = [column for column in (self.depth, self.weight) if column is not None]
        if any(column.shape != self.length.shape for column in columns) or self.length.sum() != len(self.items):
            raise ValueError("every list needs a length, a depth and a weight, and the lengths add up to all items")
        if len(self.length) == 0:
            return
        if self.length.min() < 2:
            raise ValueError("a ranking needs two models at least")
        if self.items.min() < 0 or self.items.max() >= len(self.models):
            raise ValueError(f"codes of models go from 0 to {len(self.models) - 1}")
        placed = np.repeat(np.arange(len(self.length)), self.length) * len(self.models) + self.items
        if len(np.unique(placed)) < len(placed):
            raise ValueError("a model stands twice in one ranking")
        if self.depth is not None and not ((self.depth >= 1) & (self.depth <= self.length)).all():
            raise ValueError("a depth goes from 1 to the length of its list")
        if self.weight is not None and not (np.isfinite(self.weight).all() and (self.weight > 0).all()):
            raise ValueError("weights have to be finite and above 0")

    @property
    def digest(self) -> str:
        """SHA-256 of all that a fit reads, in the order of the lists."""
        hashed = hashlib.sha256("\0".join(self.models).encode())
        for column in (self.items, self.length, self.depth, self.weight):
            hashed.update(b"-" if column is None else b"+" + np.ascontiguousarray(column).data)
        return hashed.hexdigest()


def rankings(
    lists: Sequence[Sequence[str]], depth: Sequence[int] | None = None, weight: Sequence[float] | None = None
) -> Rankings:
    """From lists of names, best first.

    Raises:
        ValueError: as of `Rankings`.
    """
    models = tuple(sorted({name for names in lists for name in names}))
    place = {name: at for at, name in enumerate(models)}
    return Rankings(
        models,
        np.array([place[name] for names in lists for name in names], np.int32),
        np.array([len(names) for names in lists], np.int64),
        None if depth is None else np.array(depth, np.int64),
        None if weight is None else np.array(weight, np.float64),
    )


def fit_plackett_luce(given: Rankings, *, ridge: float = 0.0) -> Estimates:
    """Strengths of most likelihood and their sandwich covariance, in which each list is one draw.

    Ridge, components, and the rule where no finite optimum exists are those of `fit_bradley_terry`; of two models, the
    one that stands higher in a list beat the other.

    Raises:
        ValueError: there is no list, or the ridge is no number from 0 on.
    """
    groups = list(_groups(given))
    pairs = _pairs(groups, given.models)
    start = fit_bradley_terry(pairs, ridge=ridge)
    restraint = Likelihood.of(pairs, BothBad.HALF, ridge).restraint

    def at(strengths: Floats) -> Derivatives:
        loss, gradient, curvature = 0.0, np.zeros(len(strengths)), np.zeros((len(strengths),) * 2)
        for group in groups:
            there = group.at(strengths)
            loss, gradient, curvature = loss + there.loss, gradient + there.gradient, curvature + there.curvature
        return restraint.on(Derivatives(loss, gradient, curvature), strengths)

    number = float(len(given.length) if given.weight is None else given.weight.sum())
    found = minimum(at, start.strengths, number)
    meat = np.sum([group.meat(found) for group in groups], axis=0)
    return replace(
        start,
        strengths=restraint.centred(found),
        covariance=restraint.sandwich(at(found).curvature, meat, found),
        votes=np.bincount(given.items, minlength=len(given.models)),
        method=METHOD,
        parameters={"ridge": float(ridge), "covariance": "sandwich", "notes": start.parameters["notes"]},
        digest=given.digest,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Lists of one length."""

    size: int  # how many models there are
    items: NDArray[np.int64]  # (lists, places)
    is_choice: NDArray[np.bool_]  # (lists, places): this one was chosen, out of itself and all behind it
    weight: Floats  # (lists,)

    def at(self, strengths: Floats) -> Derivatives:
        """Of the negative log-likelihood."""
        ahead, odds, rest = self._odds(strengths)
        surprise = np.where(self.is_choice, np.log(rest) - ahead, 0.0).sum(axis=1)
        weight = self.weight[:, None]
        gradient = -self._by_item(weight * self._scores(odds, rest))
        # Of two models, all choices up to the earlier one's had both to choose from.
        squares = np.cumsum(self.is_choice / rest**2, axis=1)
        places = np.arange(self.items.shape[1])
        both = squares[:, np.minimum(places[:, None], places)]
        curvature = -both * odds[:, :, None] * odds[:, None, :]
        curvature[:, places, places] += odds * np.cumsum(self.is_choice / rest, axis=1)
        return Derivatives(float(self.weight @ surprise), gradient, self._by_pair(weight[:, None] * curvature))

    def meat(self, strengths: Floats) -> Floats:
        _, odds, rest = self._odds(strengths)
        scores = self.weight[:, None] * self._scores(odds, rest)
        return self._by_pair(scores[:, :, None] * scores[:, None, :])

    def _odds(self, strengths: Floats) -> tuple[Floats, Floats, Floats]:
        """(lists, places) each: strengths less the list's greatest, their odds, sums of these from each place on."""
        ahead = strengths[self.items]
        ahead -= ahead.max(axis=1, keepdims=True)
        odds = np.exp(ahead)
        return ahead, odds, odds[:, ::-1].cumsum(axis=1)[:, ::-1]

    def _scores(self, odds: Floats, rest: Floats) -> Floats:
        """(lists, places): how often each was chosen, less how often that was to be expected."""
        return self.is_choice - odds * np.cumsum(self.is_choice / rest, axis=1)

    def _by_item(self, numbers: Floats) -> Floats:
        result: Floats = np.bincount(self.items.ravel(), numbers.ravel(), self.size).astype(np.float64, copy=False)
        return result

    def _by_pair(self, numbers: Floats) -> Floats:
        cells = self.items[:, :, None] * self.size + self.items[:, None, :]
        result: Floats = np.bincount(cells.ravel(), numbers.ravel(), self.size**2).astype(np.float64, copy=False)
        return result.reshape(self.size, self.size)


def _groups(given: Rankings) -> Iterator[_Group]:
    start = np.cumsum(given.length) - given.length
    depth = given.length if given.depth is None else given.depth
    weight = np.ones(len(start)) if given.weight is None else given.weight
    for length in np.unique(given.length):
        lists, places = np.flatnonzero(given.length == length), np.arange(length)
        for block in np.array_split(lists, -(-len(lists) * length**2 // _NUMBERS)):
            is_choice = places < np.minimum(depth[block], length - 1)[:, None]
            items = given.items[start[block][:, None] + places].astype(np.int64)
            yield _Group(len(given.models), items, is_choice, weight[block])


def _pairs(groups: Sequence[_Group], models: tuple[str, ...]) -> Counts:
    """Each of two models one above the other as a vote: where the fit starts, and what it takes for an optimum."""
    size = len(models)
    above = np.zeros((size, size), np.int64)
    for group in groups:
        better, worse = np.triu_indices(group.items.shape[1], 1)
        is_known = group.is_choice[:, better]
        cells = group.items[:, better][is_known] * size + group.items[:, worse][is_known]
        above += np.bincount(cells, minlength=size * size).reshape(size, size)
    votes = np.zeros((len(Outcome), size, size), np.int64)
    votes[Outcome.LEFT] = above
    return Counts(models, votes, votes.astype(np.float64), votes.astype(np.float64))
