"""Skill with doubt, vote by vote: Weng and Lin's Bayesian Bradley-Terry, by the library openskill.

Like Elo it has an order, but every model's step shrinks as its votes come in. Each vote is a call of the library,
tens of thousands a second; `fit_bradley_terry` is faster, and exact.
"""

import math
from typing import Any

import numpy as np

from fastchat.ranking.comparisons import Comparisons
from fastchat.ranking.counts import BothBad
from fastchat.ranking.games import Games
from fastchat.ranking.results import Estimates

METHOD = "openskill"
_RANKS = {1.0: [1.0, 2.0], -1.0: [2.0, 1.0], 0.0: [1.0, 1.0]}  # by the left one's result; the winner's is the lower


def fit_openskill(comparisons: Comparisons, *, both_bad: BothBad = BothBad.HALF, by_time: bool = False) -> Estimates:
    """Strengths and their errors after the last vote, in the order given or that of time.

    The library's units are turned into log-odds. Models stay what they are (`tau` 0), and their doubt shrinks as
    it should under Bradley-Terry (`gamma` 1). Errors of different models are taken as independent.

    Raises:
        ValueError: votes have weights, which the library does not know, or as of `Games`.
        ModuleNotFoundError: openskill is not installed.
    """
    games = Games(comparisons, both_bad, by_time)
    if comparisons.weight is not None:
        raise ValueError("openskill knows no weights of votes; leave them out, or fit Bradley-Terry, which does")
    game = _game()
    skills = [game.rating() for _ in comparisons.models]
    for left, right, result, _ in games:
        [[skills[left]], [skills[right]]] = game.rate([[skills[left]], [skills[right]]], ranks=_RANKS[result])
    logit = 1 / (math.sqrt(2) * game.beta)  # the library's chance is a logistic function of (a - b) / (sqrt(2) beta)
    means = np.array([skill.mu for skill in skills]) * logit
    errors = np.array([skill.sigma for skill in skills]) * logit
    prior = {"prior_error": game.sigma * logit}
    return games.estimates(METHOD, means, np.diag(errors**2), {"covariance": "posterior", **prior})


def _game() -> Any:
    try:
        from openskill.models import BradleyTerryFull
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError("skill ratings need openskill: pip install 'fschat[leaderboard]'") from missing
    return BradleyTerryFull(tau=0.0, gamma=lambda *_: 1.0)
