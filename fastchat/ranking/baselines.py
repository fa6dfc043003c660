"""What can be read off the votes without a model: how often each won. It depends on whom it happened to meet."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fastchat import __version__
from fastchat.ranking.bradley_terry import check
from fastchat.ranking.comparisons import Floats
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.likelihood import fold, used


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """A share from 0 to 1 for each model, with the ends of its interval; NaN for one without a vote."""

    models: tuple[str, ...]
    rates: Floats  # (models,)
    lower: Floats  # (models,)
    upper: Floats  # (models,)
    votes: NDArray[np.int64]  # (models,)
    method: str
    parameters: dict[str, Any]  # plain JSON values
    digest: str  # of the counts
    version: str  # of the code


def win_rates(counts: Counts, *, both_bad: BothBad = BothBad.HALF, confidence: float = 0.95) -> Rates:
    """Wins and half of ties, of all votes of a model, with Wilson's interval.

    The interval treats a tie like half of the time a win, so with many ties it is a little wide.

    Raises:
        ValueError: there are no votes, or "both bad" is an outcome of its own, or the confidence is not within 0 and 1.
    """
    pairs = _Pairs.of(counts, both_bad, confidence)
    won, met, squares = pairs.worth.sum(axis=1), pairs.met.sum(axis=1), pairs.squares.sum(axis=1)
    rates = _share(won, met)
    lower, upper = wilson(rates, _share(met**2, squares), confidence)
    return pairs.rates("win-rate", rates, lower, upper)


def borda(counts: Counts, *, both_bad: BothBad = BothBad.HALF, confidence: float = 0.95) -> Rates:
    """The mean of a model's win rates against each opponent that it met, whoever it met most.

    Its interval puts Wilson's intervals of the single rates together, by the squares of their halves (Zou and Donner's
    "method of variance estimates recovery", 2008).

    Raises:
        ValueError: as of `win_rates`.
    """
    pairs = _Pairs.of(counts, both_bad, confidence)
    rates = _share(pairs.worth, pairs.met)
    lower, upper = wilson(rates, _share(pairs.met**2, pairs.squares), confidence)
    has_met = pairs.met > 0
    opponents = has_met.sum(axis=1)
    mean = _share(rates.sum(axis=1, where=has_met), opponents)
    below = _share(np.sqrt(np.square(rates - lower).sum(axis=1, where=has_met)), opponents)
    above = _share(np.sqrt(np.square(upper - rates).sum(axis=1, where=has_met)), opponents)
    return pairs.rates("borda", mean, mean - below, mean + above)


def wilson(rate: Floats, number: Floats, confidence: float) -> tuple[Floats, Floats]:
    """The interval of a share of `number` trials (Wilson 1927)."""
    z = float(ndtri((1 + confidence) / 2))
    scale = 1 + z**2 / number
    centre = (rate + z**2 / (2 * number)) / scale
    half = z / scale * np.sqrt(rate * (1 - rate) / number + (z / (2 * number)) ** 2)
    return np.minimum(centre - half, rate), np.maximum(centre + half, rate)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    counts: Counts
    both_bad: BothBad
    confidence: float
    worth: Floats  # (models, models): wins and half of ties of the row's model against the column's
    met: Floats  # (models, models): weight of all their votes
    squares: Floats  # (models, models): of the weights

    @classmethod
    def of(cls, counts: Counts, both_bad: BothBad, confidence: float) -> "_Pairs":
        if both_bad is BothBad.OWN:
            raise ValueError("win rates take both-bad as half a win (half) or leave it out (drop), not own")
        if not 0 < confidence < 1:
            raise ValueError(f"the confidence is {confidence}; it has to be above 0 and below 1, such as 0.95")
        check(counts, both_bad, ridge=0.0)
        worth, squares = (fold(votes, both_bad).worth for votes in (counts.weights, counts.squares))
        return cls(counts, both_bad, confidence, worth, worth + worth.T, squares + squares.T)

    def rates(self, method: str, rates: Floats, lower: Floats, upper: Floats) -> Rates:
        votes = used(self.counts, self.both_bad).votes_of
        parameters = {"both_bad": str(self.both_bad), "confidence": self.confidence}
        return Rates(
            self.counts.models, rates, lower, upper, votes, method, parameters, self.counts.digest, __version__
        )


def _share(part: Floats, whole: Floats | NDArray[np.int64]) -> Floats:
    """NaN where there is nothing to divide by."""
    result: Floats = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
    return result
