"""Elo: after every vote some points go from one model to the other. Their order matters, and the last count most.

For boards that are kept this way. The Elo of most likelihood, in which the order plays no part, is Bradley-Terry
(`fit_bradley_terry`) on Elo's `Scale`, and is the better choice wherever models stay what they are.
"""

from dataclasses import replace
from math import tanh

import numpy as np

from fastchat.ranking.comparisons import Comparisons
from fastchat.ranking.counts import BothBad
from fastchat.ranking.games import Games
from fastchat.ranking.results import ELO_PER_LOGIT, Estimates

METHOD = "elo"
K = 4.0
_BLOCK = 1 << 12  # votes whose random weights are drawn at once


def fit_elo(
    comparisons: Comparisons, *, both_bad: BothBad = BothBad.HALF, k: float = K, by_time: bool = False
) -> Estimates:
    """Strengths after the last vote, in the order given or that of time. All start equal.

    At most `k` points change hands in a vote, times its weight; 400 points are odds of ten to one. One pass shows no
    error: the covariance is NaN. `bootstrap_elo` has one.

    Raises:
        ValueError: K is not above 0, or as of `Games`.
    """
    games = Games(comparisons, both_bad, by_time)
    # In halves of log-odds the expected result is a hyperbolic tangent, which cannot overflow.
    step = _half_step(k)
    half = [0.0] * len(comparisons.models)
    for left, right, result, weight in games:
        change = step * weight * (result - tanh(half[left] - half[right]))
        half[left] += change
        half[right] -= change
    unknown = np.full((len(half), len(half)), np.nan)
    return games.estimates(METHOD, 2 * np.array(half), unknown, {"k": float(k), "covariance": "none"})


def bootstrap_elo(
    comparisons: Comparisons,
    *,
    both_bad: BothBad = BothBad.HALF,
    k: float = K,
    by_time: bool = False,
    rounds: int = 100,
    seed: int = 0,
) -> Estimates:
    """`fit_elo` with draws: each round goes through the same votes in the same order, with other random weights.

    Weights are exponential with mean 1, Rubin's Bayesian bootstrap, because votes drawn anew have no order.

    Raises:
        ValueError: there are fewer than two rounds, or as of `fit_elo`.
    """
    if rounds < 2:
        raise ValueError(f"a spread over {rounds} rounds is asked for; it takes two at least")
    games = Games(comparisons, both_bad, by_time)
    step = _half_step(k)
    generator = np.random.default_rng(seed)
    half = list(np.zeros((len(comparisons.models), rounds)))
    for number, (left, right, result, weight) in enumerate(games):
        if number % _BLOCK == 0:
            steps = step * generator.standard_exponential((_BLOCK, rounds))
        change = half[left] - half[right]
        np.tanh(change, out=change)
        np.subtract(result, change, out=change)
        change *= steps[number % _BLOCK]
        if weight != 1:
            change *= weight
        half[left] += change
        half[right] -= change
    draws = 2 * np.array(half).T
    once = fit_elo(comparisons, both_bad=both_bad, k=k, by_time=by_time)
    return replace(
        once,
        covariance=np.cov(draws, rowvar=False) * (once.component[:, None] == once.component),
        parameters={**once.parameters, "covariance": "bootstrap", "rounds": rounds, "seed": seed},
        draws=draws,
    )


def _half_step(k: float) -> float:
    if not 0 < k < np.inf:
        raise ValueError(f"K is {k}; it has to be above 0")
    return k / ELO_PER_LOGIT / 4
