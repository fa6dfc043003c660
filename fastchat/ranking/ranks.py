"""Which ranks the votes leave open, for all models at once.

Every pair's difference gets an interval of the same width in standard errors, wide enough that with the given
confidence all of them hold together (max-t). What they leave open of a model's rank is its rank set: Klein, Wright and
Wieczorek 2020; Mogstad, Romano, Shaikh and Wilhelm 2024.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fastchat.ranking.comparisons import Floats, Mask
from fastchat.ranking.intervals import check_confidence, difference_errors
from fastchat.ranking.results import Estimates

DRAWS = 5000
_BLOCK = 512  # draws whose numbers fit into a core's cache

Ranks = NDArray[np.int64]
Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RankSets:
    """Ranks and tiers count from 1 in each component, as the strengths compare in each only."""

    lower: Ranks  # (models,): best rank left open
    upper: Ranks  # (models,): worst rank left open
    tiers: Ranks  # (models,)
    separated: Mask  # (models, models): told apart for sure; which one is better, strengths say
    critical_value: float | None  # standard errors that a difference has to exceed; None: there is no pair
    critical_error: float | None  # Monte Carlo standard error of it
    confidence: float
    draws: int
    seed: int


def rank_sets(estimates: Estimates, confidence: float = 0.95, draws: int = DRAWS, seed: int = 0) -> RankSets:
    """A pair is separated if its difference exceeds `critical_value` of its standard errors.

    A model's best rank is one more than the number of models that are better than it for sure, its worst rank follows
    from those that are worse for sure. Tiers are the finest cut of the order such that any two models of different
    tiers are separated: from the top, a tier ends as soon as all its models are separated from all below.

    Raises:
        ValueError: the confidence is not between 0 and 1, or there are too few draws for it.
    """
    check_confidence(confidence)
    if draws * (1 - confidence) < 5:
        raise ValueError(f"{draws} draws are too few for a confidence of {confidence}; take {5 / (1 - confidence):.0f}")
    errors = difference_errors(estimates)
    critical = _critical_value(estimates, errors, confidence, draws, seed)
    differences = estimates.strengths[:, None] - estimates.strengths
    # Errors that are 0 come from votes that are all ties; differences are then 0 but for rounding.
    separated = (errors > 0) & (np.abs(differences) > (critical.value if critical else 0) * errors)
    better = separated & (differences > 0)  # the row than the column
    sizes = np.bincount(estimates.component)[estimates.component]
    return RankSets(
        lower=1 + better.sum(axis=0),
        upper=sizes - better.sum(axis=1),
        tiers=_tiers(estimates, separated),
        separated=separated,
        critical_value=critical.value if critical else None,
        critical_error=critical.error if critical else None,
        confidence=confidence,
        draws=draws,
        seed=seed,
    )


def probability_better(estimates: Estimates) -> Floats:
    """(models, models): that the row's model is the better one, from the normal; NaN between components.

    Of one pair by itself, as if the order were not known before the votes.
    """
    differences = estimates.strengths[:, None] - estimates.strengths
    errors = difference_errors(estimates)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = ndtr(differences / errors)
    result[errors == 0] = 0.5
    return result


class _Critical(NamedTuple):
    value: float
    error: float


def _critical_value(estimates: Estimates, errors: Floats, confidence: float, draws: int, seed: int) -> _Critical | None:
    """The quantile over draws of all strengths of the largest |difference| / error among the pairs.

    Every draw has a bound that is cheap to find. Looking at the pairs of some draws whose bounds are high shows about
    where the quantile lies, and then only draws whose bounds lie above that are left to be looked at. The result is
    exactly that of looking at all.
    """
    scales = np.zeros_like(errors)  # 1 / error, and 0 where there is no pair
    np.divide(1, errors, where=errors > 0, out=scales)
    if not scales.any():
        return None
    inverse = scales.astype(np.float32)
    root = _root(estimates)
    normal = np.random.default_rng(seed).standard_normal((len(root), draws), dtype=np.float32)
    deviations = root.astype(np.float32) @ normal
    above = draws + 1 - min(draws, math.ceil(confidence * (draws + 1)))  # place of the quantile from the top
    give = min(round(math.sqrt(draws * confidence * (1 - confidence))), draws - above)  # standard error of the place
    bounds = _bounds(np.square(root).sum(axis=1), deviations, inverse)
    some, others = np.split(np.argsort(-bounds, kind="stable"), [2 * (above + give)])
    largest = _largest(deviations[:, some], inverse)
    others = others[bounds[others] >= np.sort(largest)[-above - give]]
    largest = np.sort(np.concatenate([largest, _largest(deviations[:, others], inverse)]))
    error = float(largest[-max(above - give, 1)] - largest[-above - give]) / 2
    # Rounded up far below its error, as single precision is not the same on every processor.
    return _Critical(math.ceil(1000 * float(largest[-above])) / 1000, error)


def _root(estimates: Estimates) -> Floats:
    """(models, models), times its transpose the covariance of strengths that are centred another way.

    Their differences are as likely. The better a strength is known, the more it counts in the centre, so that strengths
    known much better than others do not all move with these, and are about independent, which makes `_bounds` close.
    """
    same = estimates.component[:, None] == estimates.component
    variances = np.diagonal(estimates.covariance)
    mean = float(variances.mean())
    # A shift of a whole component and a trace of noise make the covariance one that has a root.
    root: Floats = np.linalg.cholesky(estimates.covariance + mean * same + 1e-9 * mean * np.eye(len(same)))
    weights = same / (variances + 1e-9 * mean)
    root -= (weights / weights.sum(axis=1, keepdims=True)) @ root
    return root


def _bounds(variances: Floats, deviations: Singles, inverse: Singles) -> Singles:
    """(draws,): what a draw's largest |difference| / error is at most.

    By Cauchy and Schwarz |z_i - z_j| <= sqrt(v_i + v_j) * sqrt(t_i^2 + t_j^2), where v are variances and t = z/sqrt(v),
    and if t_i and t_j have the same sign, the smaller one is not needed.
    """
    spreads = np.sqrt(variances).astype(np.float32)
    outlying = deviations / np.where(spreads > 0, spreads, 1)[:, None]
    ratio = (np.sqrt(variances[:, None] + variances) * inverse).max()
    bounds: Singles = np.float32(1.0001 * ratio) * np.hypot(outlying.max(axis=0), outlying.min(axis=0))
    return bounds


def _largest(deviations: Singles, inverse: Singles) -> Singles:
    """(draws,): the largest |difference| / error of a draw."""
    models, draws = deviations.shape
    largest = np.zeros(draws, np.float32)
    room = np.empty((models, _BLOCK), np.float32)
    for start in range(0, draws, _BLOCK):
        block = np.ascontiguousarray(deviations[:, start : start + _BLOCK])
        best = largest[start : start + _BLOCK]
        for at in range(1, models):
            ratios = np.subtract(block[:at], block[at], out=room[:at, : block.shape[1]])
            ratios *= inverse[at, :at, None]
            np.maximum(best, np.abs(ratios, out=ratios).max(axis=0), out=best)
    return largest


def _tiers(estimates: Estimates, separated: Mask) -> Ranks:
    tiers = np.ones(len(estimates.models), np.int64)
    for component in range(int(estimates.component.max(initial=-1)) + 1):
        members = np.flatnonzero(estimates.component == component)
        order = members[np.argsort(-estimates.strengths[members], kind="stable")]
        together = ~separated[np.ix_(order, order)]
        last = len(order) - 1 - together[:, ::-1].argmax(axis=1)  # farthest place that each is not separated from
        ends = np.maximum.accumulate(last)[:-1] == np.arange(len(order) - 1)
        tiers[order[1:]] += np.cumsum(ends)
    return tiers
