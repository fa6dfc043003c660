"""How firm an order is: what separates each model from the next, and how few other votes would change who is first."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastchat.ranking.bootstrap import refit
from fastchat.ranking.bradley_terry import METHOD
from fastchat.ranking.comparisons import Floats
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.intervals import difference_errors
from fastchat.ranking.likelihood import chances, fold, laplacian
from fastchat.ranking.ranks import RankSets, probability_better
from fastchat.ranking.results import Estimates

_FAR = 500.0  # a vote against odds like these is not to be expected before the numbers end
_EQUAL = 1e-9  # strengths that differ by less are the same but for rounding
_DOUBT = 1.5  # a challenger who, by influence, needs that many times the votes of another one is not looked at


class Neighbour(NamedTuple):
    """A model and the next one below it in its component."""

    better: str
    worse: str
    difference: float  # of strengths
    error: float  # standard error of it
    probability: float  # that `better` is better
    separated: bool
    votes_needed: int | None  # as of `votes_needed`


class Flip(NamedTuple):
    """So many votes, turned from one model's win into the other's, put another model first."""

    first: str
    second: str  # who would be first
    votes: int
    share: float  # of all votes that were fitted


def neighbours(
    counts: Counts, estimates: Estimates, ranks: RankSets, *, both_bad: BothBad = BothBad.HALF
) -> tuple[Neighbour, ...]:
    """From the top, component by component. Counts may be over other models too, and in another order."""
    errors, better = difference_errors(estimates), probability_better(estimates)
    spread = dispersion(counts.over(estimates.models), estimates, both_bad)

    def pair(one: int, other: int) -> Neighbour:
        difference, error = float(estimates.strengths[one] - estimates.strengths[other]), float(errors[one, other])
        separated = bool(ranks.separated[one, other])
        critical = ranks.critical_value or 0.0
        needed = 0 if separated else votes_needed(difference, error, critical, spread)
        names = estimates.models[one], estimates.models[other]
        return Neighbour(*names, difference, error, float(better[one, other]), separated, needed)

    order = np.lexsort((np.arange(len(errors)), -estimates.strengths, estimates.component)).tolist()
    follow = pairwise(order)
    return tuple(pair(*two) for two in follow if estimates.component[two[0]] == estimates.component[two[1]])


def votes_needed(difference: float, error: float, critical: float, spread: float) -> int | None:
    """How many more votes between two models separate them, if they say on average what the strengths say.

    A vote's mean is p = 1 / (1 + exp(-difference)), and the difference moves it by p (1 - p); its variance is
    `spread` * p (1 - p). So n votes tell the difference with a precision, one over the squared error, of
    n p (1 - p) / spread, which adds to that of the votes so far. It has to reach (critical / difference)^2. Chance
    moves the difference too, so with so many votes they are separated about every second time. Votes without any
    spread, whose error is 0, tell nothing of how precise they are, and are not counted.

    None: the strengths are equal, or so far apart that votes between the two tell nothing, so no number would do.
    """
    if abs(difference) < _EQUAL or abs(difference) >= _FAR:
        return None
    lacking = (critical / difference) ** 2 - (1 / error**2 if error > 0 else 0.0)
    chance = 1 / (1 + math.exp(abs(difference)))
    return max(0, math.ceil(lacking * spread / (chance * (1 - chance))))


def dispersion(counts: Counts, estimates: Estimates, both_bad: BothBad) -> float:
    """Variance of votes around their mean, against that of votes without ties; all pairs together."""
    wins, ties = fold(counts.weights, both_bad)
    chance = chances(estimates.strengths)
    residuals = float((wins * chance.T**2).sum() + (ties * (chance - 0.5) ** 2).sum() / 2)
    expected = float(((wins + ties / 2) * chance * chance.T).sum())
    return residuals / expected if expected > 0 else 1.0


def top_flip(
    counts: Counts, estimates: Estimates, *, both_bad: BothBad = BothBad.HALF, ridge: float = 0.0
) -> Flip | None:
    """The smallest number of wins that, turned round, put another model first of the largest component.

    Turning a win of i over j round takes its weight times x' H^-1 (e_i - e_j) from the lead over a challenger, where x
    is the first minus the challenger and H the likelihood's curvature. The votes that take most are turned first, and
    how many it takes is found by fitting again (after Huang and others, arXiv 2508.11847). Only looking at all sets of
    votes is exact; where that can be done the two agree, unless fewer would do that leave a model without any loss.

    None: there is one model, or no number of wins would do, or weights lie too far apart to find it.

    Raises:
        ValueError: the estimates are not Bradley-Terry's of these counts.
    """
    if estimates.method != METHOD or estimates.digest != counts.digest or both_bad is BothBad.OWN:
        raise ValueError(f"votes are turned round in the counts of {METHOD}, and these estimates are of something else")
    votes = _Votes.of(counts, estimates, both_bad, ridge)
    best: _Turned | None = None
    try:
        for at_least, gains in votes.challengers():
            if best is not None and at_least > _DOUBT * best.number:
                break
            best = votes.fewest(gains, best)
    except ValueError:  # of `refit`; ratings do not hang on this
        return None
    if best is None:
        return None
    names = [estimates.models[at] for at in np.flatnonzero(estimates.component == 0)]
    number = float(fold(counts.votes.astype(np.float64), both_bad).worth.sum())
    return Flip(names[votes.first], names[int(best.strengths.argmax())], best.number, best.number / number)


class _Turned(NamedTuple):
    number: int
    strengths: Floats
    lead: float  # of who was first, over the best of all others

    @property
    def is_changed(self) -> bool:
        return self.lead < -_EQUAL


class _Order(NamedTuple):
    """Wins, by who won and lost, in the order in which they are to be turned round."""

    winner: NDArray[np.int64]
    loser: NDArray[np.int64]
    until: NDArray[np.int64]  # votes up to and with these

    @property
    def number(self) -> int:
        return int(self.until[-1]) if len(self.until) else 0


@dataclass(frozen=True, slots=True, eq=False)
class _Votes:
    """Of the largest component."""

    won: Floats  # (models, models): votes that the row's model won against the column's
    weight: Floats  # (models, models): of each of them
    worth: Floats  # (models, models)
    strengths: Floats
    first: int
    ridge: float

    @classmethod
    def of(cls, counts: Counts, estimates: Estimates, both_bad: BothBad, ridge: float) -> "_Votes":
        members = np.flatnonzero(estimates.component == 0)
        inside = np.ix_(members, members)
        won = fold(counts.votes.astype(np.float64), both_bad).wins[inside]
        weights = fold(counts.weights, both_bad)
        strengths = estimates.strengths[members]
        weight = weights.wins[inside] / np.maximum(won, 1)
        return cls(won, weight, weights.worth[inside], strengths, int(strengths.argmax()), ridge)

    def challengers(self) -> Iterator[tuple[float, Floats]]:
        """About how many votes it takes at least to put each other model first, and what each win counts in that
        (models, models). The easiest to put first come first."""
        inverse = self._inverse(self.strengths, self.worth)
        variances = np.diagonal(inverse)
        most = (variances[self.first] + variances - 2 * inverse[self.first]) * self.weight.max(initial=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            at_least = (self.strengths[self.first] - self.strengths) / most
        for at in np.argsort(at_least, kind="stable").tolist():
            if at != self.first:
                yield float(at_least[at]), self._gains(at, inverse)

    def fewest(self, gains: Floats, best: _Turned | None) -> _Turned | None:
        """Fewer than the best so far, or else that."""
        while True:
            order = self._order(gains)
            found = self._change(order, gains, best)
            if found is None or not found.is_changed:
                return best
            best = self._fewest_of(order, found)
            # After they are turned, votes weigh differently; perhaps others are the best to turn then.
            there = self._inverse(best.strengths, self._worth(order, best.number))
            gains = (gains + self._gains(int(best.strengths.argmax()), there)) / 2

    def _change(self, order: _Order, gains: Floats, best: _Turned | None) -> _Turned | None:
        """Some number that may be enough: less by one than the best so far, or a guess that is doubled until it is."""
        if best is not None:
            return self._turned(order, best.number - 1) if 1 < best.number <= order.number else None
        number = self._guess(order, gains)
        while number <= order.number:
            found = self._turned(order, number)
            if found.is_changed or number == order.number:
                return found
            number = min(2 * number, order.number)
        return None

    def _fewest_of(self, order: _Order, high: _Turned) -> _Turned:
        """Between none and that many, by regula falsi: the lead shrinks almost evenly. Every third step halves."""
        low, lead, steps = 0, self._lead(self.strengths), 0
        while high.number - low > 1:
            steps += 1
            share = 0.5 if steps % 3 == 0 else lead / (lead - high.lead)
            number = min(low + 1 + int(share * (high.number - low)), high.number - 1)
            tried = self._turned(order, number)
            if tried.is_changed:
                high = tried
            else:
                low, lead = number, tried.lead
        return high

    def _turned(self, order: _Order, number: int) -> _Turned:
        everything = np.zeros(len(self.strengths), np.int32)
        strengths = refit(self._worth(order, number)[None], self.strengths, everything, self.ridge)[0]
        return _Turned(number, strengths, self._lead(strengths))

    def _worth(self, order: _Order, number: int) -> Floats:
        turned = np.zeros_like(self.worth)
        before = np.concatenate([[0], order.until[:-1]])
        cells = order.winner, order.loser
        turned[cells] = np.clip(number - before, 0, order.until - before) * self.weight[cells]
        return self.worth - turned + turned.T

    def _lead(self, strengths: Floats) -> float:
        return float(strengths[self.first] - np.delete(strengths, self.first).max())

    def _gains(self, challenger: int, inverse: Floats) -> Floats:
        """(models, models): what a win of the row's model over the column's, turned round, takes from the lead."""
        influence = inverse[self.first] - inverse[challenger]
        gains: Floats = (influence[:, None] - influence) * self.weight
        return gains

    def _inverse(self, strengths: Floats, worth: Floats) -> Floats:
        chance = chances(strengths)
        curvature = laplacian((worth + worth.T) * chance * chance.T)
        level = np.diagonal(curvature).mean()
        inverse: Floats = np.linalg.inv(curvature + level / len(strengths) + self.ridge * np.eye(len(strengths)))
        return inverse

    def _order(self, gains: Floats) -> _Order:
        winner, loser = np.nonzero((gains > 0) & (self.won > 0))
        places = np.argsort(-gains[winner, loser], kind="stable")
        winner, loser = winner[places], loser[places]
        return _Order(winner, loser, np.cumsum(self.won[winner, loser]).astype(np.int64))

    def _guess(self, order: _Order, gains: Floats) -> int:
        """How many it would be if the lead shrank evenly."""
        shrunk = np.cumsum(gains[order.winner, order.loser] * self.won[order.winner, order.loser])
        ends = np.concatenate([[0], order.until])
        return max(1, math.ceil(float(np.interp(self._lead(self.strengths), np.concatenate([[0], shrunk]), ends))))
