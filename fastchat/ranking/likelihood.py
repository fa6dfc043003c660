"""The Bradley-Terry likelihood of counts: its derivatives, and the two halves of the sandwich.

All is dense over pairs of models: 500 models are 250,000 numbers, which is less than the votes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from fastchat.ranking.comparisons import Codes, Floats, Mask, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.graph import components, is_one_way
from fastchat.ranking.newton import Derivatives, minimum, solve


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
    """Of strengths that sum to zero within each component."""

    worth: Floats  # (models, models): wins and half of ties, of the row's model against the column's
    component: Codes  # (models,)
    is_held: Mask  # (models,): an imagined tie with a model of strength 0 sees to it that there is an optimum
    ridge: float

    @classmethod
    def of(cls, counts: Counts, both_bad: BothBad, ridge: float) -> "Likelihood":
        worth = fold(counts.weights, both_bad).worth
        component = components(worth, used(counts, both_bad).votes_of)
        is_held = is_one_way(worth, component) if ridge == 0 else np.zeros(len(worth), np.bool_)
        return cls(worth, component, is_held, ridge)

    def maximum(self, start: Floats | None = None) -> Floats:
        found = minimum(self.at, np.zeros(len(self.worth)) if start is None else start, float(self.worth.sum()))
        return self._centred(found)

    def at(self, strengths: Floats) -> Derivatives:
        """Of the negative logarithm, with the ridge."""
        difference = strengths[:, None] - strengths
        chance = expit(difference)
        surprise = self.worth * chance.T  # by winner; this way it is exact also where the winner was sure to win
        gradient = surprise.sum(axis=0) - surprise.sum(axis=1)
        gradient += self.ridge * strengths + self.is_held * (expit(strengths) - 0.5)
        loss = self.ridge / 2 * (strengths @ strengths) - np.vdot(self.worth, log_expit(difference))
        loss -= self.is_held @ (log_expit(strengths) - strengths / 2)
        return Derivatives(float(loss), self._centred(gradient), self._curvature(strengths, chance))

    def covariance(self, strengths: Floats, filling: Floats) -> Floats:
        """The sandwich, from the `meat` of the votes. The ridge has no part in it, being no vote."""
        bread = self._curvature(strengths, chances(strengths))
        won = expit(strengths)
        # An imagined tie counts as one vote whose outcome nobody knows. As a tie, which it would always have been, it
        # would seem to make sure what it only makes finite.
        imagined = self._centred_diagonal(self.is_held * (won**2 + (1 - won) ** 2) / 2)
        half = solve(bread, (filling + imagined) * self._together)
        whole = solve(bread, half.T) * self._together
        result: Floats = (whole + whole.T) / 2
        np.fill_diagonal(result, np.maximum(np.diagonal(result), 0.0))
        return result

    def _curvature(self, strengths: Floats, chance: Floats) -> Floats:
        """Among strengths that sum to zero; something positive is added in the other directions, for Cholesky."""
        of_votes = laplacian((self.worth + self.worth.T) * chance * chance.T)
        won = expit(strengths)
        held = self._centred_diagonal(self.is_held * won * (1 - won) + self.ridge)
        result: Floats = of_votes + held + np.diagonal(of_votes).mean() * self._together
        return result

    @property
    def _together(self) -> Mask:
        """(models, models): of one component."""
        result: Mask = self.component[:, None] == self.component
        return result

    def _centred(self, vector: Floats) -> Floats:
        result: Floats = vector - self._mean(vector)
        return result

    def _centred_diagonal(self, diagonal: Floats) -> Floats:
        """The diagonal matrix, centred by component from both sides."""
        share = diagonal / np.bincount(self.component)[self.component]
        result: Floats = np.diag(diagonal) + self._together * (self._mean(share) - share[:, None] - share)
        return result

    def _mean(self, vector: Floats) -> Floats:
        """(models,): of each one's component."""
        result: Floats = (np.bincount(self.component, vector) / np.bincount(self.component))[self.component]
        return result
