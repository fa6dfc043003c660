"""The Bradley-Terry likelihood of counts: its derivatives, and the two halves of the sandwich.

All is dense over pairs of models: 500 models are 250,000 numbers, which is less than the votes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from fastchat.ranking.comparisons import Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.graph import components, is_one_way
from fastchat.ranking.newton import Derivatives, minimum
from fastchat.ranking.restraint import Restraint


class Folded(NamedTuple):
    """Votes without their sides."""

    wins: Floats  # (models, models): of the row's model against the column's
    ties: Floats  # (models, models): symmetric, so each stands in it twice

    @property
    def worth(self) -> Floats:
        return self.wins + self.ties / 2


def fold(votes: Floats, both_bad: BothBad) -> Folded:
    """Of any of the arrays in `Counts`."""
    ties = votes[Outcome.TIE]
    if both_bad is BothBad.HALF:
        ties = ties + votes[Outcome.BOTH_BAD]
    return Folded(votes[Outcome.LEFT] + votes[Outcome.RIGHT].T, ties + ties.T)


def used(counts: Counts, both_bad: BothBad) -> Counts:
    return counts.without(Outcome.BOTH_BAD) if both_bad is BothBad.DROP else counts


def chances(strengths: Floats) -> Floats:
    """(models, models): that the row's model beats the column's."""
    result: Floats = expit(strengths[:, None] - strengths)
    return result


def laplacian(weights: Floats) -> Floats:
    """Sum over pairs of weight times xx', where x is 1 at one model and -1 at the other; `weights` are symmetric."""
    result: Floats = np.diag(weights.sum(axis=1)) - weights
    return result


def meat(squares: Folded, strengths: Floats) -> Floats:
    """The middle of the sandwich: sum over votes of squared weight times squared residual times xx'."""
    lost = chances(strengths).T  # of the row's model: its residual where it won
    by_winner = squares.wins * lost**2
    return laplacian(by_winner + by_winner.T + squares.ties * (lost - 0.5) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class Likelihood:
    worth: Floats  # (models, models): wins and half of ties, of the row's model against the column's
    restraint: Restraint

    @classmethod
    def of(cls, counts: Counts, both_bad: BothBad, ridge: float) -> "Likelihood":
        worth = fold(counts.weights, both_bad).worth
        component = components(worth, used(counts, both_bad).votes_of)
        is_held = is_one_way(worth, component) if ridge == 0 else np.zeros(len(worth), np.bool_)
        return cls(worth, Restraint(component, is_held, ridge))

    def maximum(self) -> Floats:
        found = minimum(self.at, np.zeros(len(self.worth)), float(self.worth.sum()))
        return self.restraint.centred(found)

    def at(self, strengths: Floats) -> Derivatives:
        """Of the negative logarithm, with the restraint."""
        difference = strengths[:, None] - strengths
        chance = expit(difference)
        surprise = self.worth * chance.T  # by winner; this way it is exact also where the winner was sure to win
        loss = -float(np.vdot(self.worth, log_expit(difference)))
        curvature = laplacian((self.worth + self.worth.T) * chance * chance.T)
        of_votes = Derivatives(loss, surprise.sum(axis=0) - surprise.sum(axis=1), curvature)
        return self.restraint.on(of_votes, strengths)

    def covariance(self, strengths: Floats, filling: Floats) -> Floats:
        """The sandwich, from the `meat` of the votes."""
        return self.restraint.sandwich(self.at(strengths).curvature, filling, strengths)
