"""Intervals of strengths, each model for itself, and the errors of differences. What is said of many models at once is
in `ranks`."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from fastchat.ranking.comparisons import Floats
from fastchat.ranking.results import NOTHING, Estimates, Unbounded

_NOISE = 1e-12  # a variance of a difference that is so small a share of its parts is what rounding left


class Interval(NamedTuple):
    lower: Floats  # (models,) in log-odds
    upper: Floats


def interval(estimates: Estimates, confidence: float = 0.95) -> Interval:
    """Percentiles of the draws if there are any, else normal ones.

    Where the votes set no bound to a strength, its sign in `unbounded` says on which side the interval is open; the
    numbers are then those of the fit's rule for such models. Their draws are not used: wins drawn from wins alone
    look more certain than they are.

    Raises:
        ValueError: the confidence is not between 0 and 1.
    """
    check_confidence(confidence)
    half = float(ndtri((1 + confidence) / 2)) * estimates.errors
    lower, upper = estimates.strengths - half, estimates.strengths + half
    if estimates.draws is not None:
        bounded = estimates.unbounded == Unbounded.NO
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        lower[bounded], upper[bounded] = np.quantile(estimates.draws[:, bounded], tails, axis=0)
    return Interval(lower, upper)


def difference_errors(estimates: Estimates) -> Floats:
    """(models, models): standard errors of differences of strengths; NaN between components."""
    variances = np.diagonal(estimates.covariance)
    parts = variances[:, None] + variances
    squares = parts - 2 * estimates.covariance
    squares[squares < np.maximum(_NOISE * parts, NOTHING)] = 0.0
    squares[estimates.component[:, None] != estimates.component] = np.nan
    errors: Floats = np.sqrt(squares)
    return errors


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, as 0.95 does; {confidence} does not")
