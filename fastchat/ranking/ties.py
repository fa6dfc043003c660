"""Ties as an outcome of their own: strengths of most likelihood, with a tie's coefficient and the sandwich's errors.

Davidson (1970): of strengths log(a) and log(b), win, tie and loss are as likely as a to nu sqrt(a b) to b. Rao and
Kupper (1967): a voter sees the lead with an error, and calls a tie what looks smaller than log(theta).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.graph import strong_parts
from fastchat.ranking.joint import difference_by_model, summed_squares
from fastchat.ranking.likelihood import Likelihood, fold
from fastchat.ranking.newton import Derivatives, minimum
from fastchat.ranking.results import Coefficient, Estimates

TIE = "tie"  # the name of the coefficient


class _Chances(NamedTuple):
    """Logarithms of each outcome's chance, and how they change with the lead of the left model and with the tie.

    Arrays are (3, models, models): left wins, right wins, tie; by left and right model.
    """

    log: Floats
    lead: Floats  # first derivatives
    tie: Floats
    lead_lead: Floats  # second ones, with the sign turned
    lead_tie: Floats
    tie_tie: Floats


def fit_davidson(counts: Counts, *, both_bad: BothBad = BothBad.HALF, ridge: float = 0.0) -> Estimates:
    """Strengths, and the coefficient `tie`: log(nu), the log-odds between equals of a tie against a win of one.

    Ridge and imagined ties are those of `fit_bradley_terry`, except that a finite optimum also needs a circle of models
    of which each beat the next. If no vote is a tie, or all are, there is no coefficient, and strengths are
    Bradley-Terry's.

    Raises:
        ValueError: as of `fit_bradley_terry`, or "both bad" is neither a tie (half) nor left out (drop).
    """
    return _fit(counts, both_bad, ridge, "davidson", _davidson, lambda share: np.log(2 * share / (1 - share)))


def fit_rao_kupper(counts: Counts, *, both_bad: BothBad = BothBad.HALF, ridge: float = 0.0) -> Estimates:
    """Strengths, and the coefficient `tie`: log(theta), the lead in log-odds below which voters call a tie.

    The rest is as of `fit_davidson`.

    Raises:
        ValueError: as of `fit_davidson`.
    """
    return _fit(counts, both_bad, ridge, "rao-kupper", _rao_kupper, lambda share: np.log((1 + share) / (1 - share)))


# What follows is written so that chances next to 0 and 1 keep their digits: with few ties or a small ridge, the optimum
# lies where they do.


def _davidson(lead: Floats, tie: float) -> _Chances:
    log = np.stack(
        [
            -np.logaddexp(np.logaddexp(-lead, tie - lead / 2), 0),
            -np.logaddexp(np.logaddexp(lead, tie + lead / 2), 0),
            -np.logaddexp(np.logaddexp(lead / 2, -lead / 2) - tie, 0),
        ]
    )
    left, right, tied = np.exp(log)
    same = np.ones_like(log)
    return _Chances(
        log,
        np.stack([right + tied / 2, -left - tied / 2, (right - left) / 2]),
        np.stack([-tied, -tied, left + right]),
        same * (left * right + tied * (left + right) / 4),
        same * (tied * (right - left) / 2),
        same * (tied * (left + right)),
    )


def _rao_kupper(lead: Floats, tie: float) -> _Chances | None:
    if tie <= 0:
        return None
    left, right, not_left, not_right = expit(lead - tie), expit(-lead - tie), expit(tie - lead), expit(tie + lead)
    of_left, of_right = left * not_left, right * not_right
    gone, rest = np.exp(-2 * tie), -np.expm1(-2 * tie)
    return _Chances(
        np.stack(
            [
                log_expit(lead - tie),
                log_expit(-lead - tie),
                log_expit(tie - lead) + log_expit(tie + lead) + np.log(rest),
            ]
        ),
        np.stack([not_left, -not_right, right - left]),
        np.stack([-not_left, -not_right, left + right + 2 * gone / rest]),
        np.stack([of_left, of_right, of_left + of_right]),
        np.stack([-of_left, of_right, of_right - of_left]),
        np.stack([of_left, of_right, of_left + of_right + 4 * gone / rest**2]),
    )


def _fit(
    counts: Counts,
    both_bad: BothBad,
    ridge: float,
    method: str,
    chances: Callable[[Floats, float], _Chances | None],
    first: Callable[[float], float],
) -> Estimates:
    """`chances` is None where a tie has no chance. `first` tells the tie's coefficient from the share among equals."""
    if both_bad is BothBad.OWN:
        raise ValueError("models of ties take both-bad votes as ties (half) or leave them out (drop), not own")
    plain = fit_bradley_terry(counts, both_bad=both_bad, ridge=ridge)
    votes, squares = (_outcomes(of, both_bad) for of in (counts.weights, counts.squares))
    share = float(votes[2].sum() / votes.sum())
    notes = list(plain.parameters["notes"])
    if share in (0, 1):
        notes.append(f"{'No' if share == 0 else 'Every'} vote is a tie, so strengths are those of Bradley-Terry.")
        return replace(plain, method=method, parameters={**plain.parameters, "notes": notes})
    restraint = Likelihood.of(counts, both_bad, ridge).restraint
    if ridge == 0 and not _has_circle(fold(counts.weights, both_bad).wins):
        restraint = replace(restraint, is_held=plain.votes > 0)
        notes.append(
            "No model beat another that beat it, directly or through others, so ties could be anything. "
            "Each model was given one win and loss, by half, against an average opponent."
        )

    def at(unknown: Floats) -> Derivatives:
        strengths, tie = unknown[:-1], float(unknown[-1])
        chance = chances(strengths[:, None] - strengths, tie)
        if chance is None:
            return Derivatives(np.inf, np.zeros(len(unknown)), np.eye(len(unknown)))
        gradient = np.append(difference_by_model((votes * chance.lead).sum(axis=0)), np.vdot(votes, chance.tie))
        curvature = _summed(votes, chance.lead_lead, chance.lead_tie, chance.tie_tie)
        return restraint.on(Derivatives(-float(np.vdot(votes, chance.log)), -gradient, curvature), unknown)

    found = minimum(at, np.append(plain.strengths, first(share)), float(votes.sum()))
    chance = chances(found[:-1, None] - found[:-1], float(found[-1]))
    assert chance is not None
    meat = _summed(squares, chance.lead**2, chance.lead * chance.tie, chance.tie**2)
    covariance = restraint.sandwich(at(found).curvature, meat, found)
    return replace(
        plain,
        strengths=restraint.centred(found[:-1]),
        covariance=covariance[:-1, :-1],
        method=method,
        parameters={**plain.parameters, "notes": notes},
        coefficients={TIE: Coefficient(float(found[-1]), float(np.sqrt(covariance[-1, -1])))},
    )


def _outcomes(votes: Floats, both_bad: BothBad) -> Floats:
    """(3, models, models)"""
    ties = votes[Outcome.TIE] + votes[Outcome.BOTH_BAD] * (both_bad is BothBad.HALF)
    return np.stack([votes[Outcome.LEFT], votes[Outcome.RIGHT], ties])


def _summed(votes: Floats, lead_lead: Floats, lead_tie: Floats, tie_tie: Floats) -> Floats:
    cross = (votes * lead_tie).sum(axis=0)
    return summed_squares((votes * lead_lead).sum(axis=0), cross[None], np.array([[np.vdot(votes, tie_tie)]]))


def _has_circle(wins: Floats) -> bool:
    return len(np.unique(strong_parts(wins))) < len(wins)
