"""Bradley-Terry by maximum likelihood, from counts: P(i beats j) = 1 / (1 + exp(strength_j - strength_i)).

A tie is half a win of each. Errors are the sandwich's (Huber 1967, White 1982), which holds where the model does not.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastchat import __version__
from fastchat.ranking.comparisons import Mask
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.graph import unbounded
from fastchat.ranking.likelihood import Likelihood, fold, meat, used
from fastchat.ranking.restraint import Restraint
from fastchat.ranking.results import NOTHING, Estimates, Unbounded

METHOD = "bradley-terry"


def fit_bradley_terry(counts: Counts, *, both_bad: BothBad = BothBad.HALF, ridge: float = 0.0) -> Estimates:
    """Strengths of most likelihood and their sandwich covariance.

    `ridge` / 2 times the sum of squared strengths is added to the votes' negative log-likelihood, each vote counted
    once, strengths in natural log-odds. So scikit-learn's `LogisticRegression(C=C)` on a design of ±1 with every vote
    written twice has the ridge 1 / (2 C). On a design of ±ln(10), as FastChat has it, the ridge is 1 / (2 C ln(10)²):
    0.0943 for GenAI-Arena's board, whose C is 1.

    Without a ridge, a component has a finite optimum only if each of its models reaches every other along wins. If not,
    each of its models is given one tie, half a win and half a loss, against an opponent of the component's mean
    strength. `unbounded` marks those that need it, and `parameters["notes"]` says so in words. Models without a vote
    are components of their own, with strength and error 0.

    Raises:
        ValueError: there is no vote, or the ridge is no number from 0 on.
    """
    check(counts, both_bad, ridge)
    if both_bad is BothBad.OWN:
        from fastchat.ranking.neither import fit_with_neither

        return fit_with_neither(counts, ridge=ridge)
    likelihood = Likelihood.of(counts, both_bad, ridge)
    strengths = likelihood.maximum()
    covariance = likelihood.covariance(strengths, meat(fold(counts.squares, both_bad), strengths))
    votes = used(counts, both_bad).votes_of
    signs = unbounded(likelihood.worth, likelihood.restraint.component)
    is_exact = (votes > 0) & (np.diagonal(covariance) < NOTHING)
    return Estimates(
        models=counts.models,
        strengths=strengths,
        covariance=covariance,
        votes=votes,
        component=likelihood.restraint.component,
        unbounded=signs,
        method=METHOD,
        parameters={
            "both_bad": str(both_bad),
            "ridge": float(ridge),
            "covariance": "sandwich",
            "notes": list(_notes(counts.models, likelihood.restraint, votes, signs, is_exact)),
        },
        digest=counts.digest,
        version=__version__,
    )


def check(counts: Counts, both_bad: BothBad, ridge: float) -> None:
    """
    Raises:
        ValueError: there is no vote to fit, or the ridge is no number from 0 on.
    """
    if not (math.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"the ridge is {ridge}; it has to be a number from 0 on, and 0 is none")
    if counts.number == 0:
        raise ValueError("there is no vote, so there is nothing to rate")
    if used(counts, both_bad).number == 0:
        raise ValueError("every vote says that both are bad, and those are dropped, so there is nothing to rate")


def _notes(
    models: tuple[str, ...], restraint: Restraint, votes: NDArray[np.int64], signs: NDArray[np.int8], is_exact: Mask
) -> Iterator[str]:
    """The rules that were applied, in words."""
    groups = len(np.unique(restraint.component[votes > 0]))
    if groups > 1:
        yield f"The models are {groups} groups without a vote between them; ratings compare within a group only."
    if restraint.is_held.any():
        yield (
            "Between some models all wins go one way, so that no finite strengths fit best. Each of the "
            f"{restraint.is_held.sum()} models of their group was given one tie against an average opponent."
        )
    for sign, side in ((Unbounded.ABOVE, "upper"), (Unbounded.BELOW, "lower")):
        if (signs == sign).any():
            otherwise = "; only the ridge does" if restraint.ridge else ""
            yield f"The votes set no {side} bound to {_listed(models, signs == sign)}{otherwise}."
    if is_exact.any():
        yield (
            f"All votes on {_listed(models, is_exact)} are exactly as expected, as if all were ties. They show no "
            "spread, so their errors are 0, which does not mean that they are sure."
        )


def _listed(models: tuple[str, ...], which: Mask) -> str:
    return ", ".join(models[at] for at in np.flatnonzero(which))
