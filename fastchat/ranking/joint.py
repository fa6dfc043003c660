"""What fits share that find strengths together with other unknowns, or from more than counts of pairs.

All unknowns stand in one vector, the strengths first. A vote's design is 1 at the left model, -1 at the right one, and
behind them what else it depends on.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, log_expit

from fastchat.ranking.comparisons import Codes, Floats, Mask
from fastchat.ranking.likelihood import Likelihood, laplacian
from fastchat.ranking.newton import Derivatives


def summed_squares(pairs: Floats, cross: Floats, others: Floats) -> Floats:
    """(unknowns, unknowns): sum over votes of a number times xx', where x is the vote's design.

    `pairs` (models, models) are the sums of the number by left and right model, `cross` (others, models, models) those
    of the number times what else the vote depends on, `others` (others, others) those times the product of two of it.
    """
    beside = difference_by_model(cross)
    return np.block([[laplacian(pairs + pairs.T), beside.T], [beside, others]])


def difference_by_model(pairs: Floats) -> Floats:
    """(…, models): what each has on the left, less what it has on the right, of (…, models, models)."""
    result: Floats = pairs.sum(axis=-1) - pairs.sum(axis=-2)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Restraint:
    """What holds strengths in place beside the votes: imagined ties, a ridge, and the zero of each component."""

    component: Codes  # (models,)
    is_held: Mask  # (models,): as of `Likelihood`
    ridge: float
    centring: Floats  # (models, models): takes off each component's mean

    @classmethod
    def of(cls, likelihood: Likelihood) -> "Restraint":
        component = likelihood.component
        together = component[:, None] == component
        centring = np.eye(len(component)) - together / together.sum(axis=1)
        return cls(component, likelihood.is_held, likelihood.ridge, centring)

    def on(self, votes: Derivatives, at: Floats) -> Derivatives:
        """The votes' derivatives with this added; the curvature is made positive along the components' zeros."""
        size = len(self.component)
        strengths = at[:size]
        won = expit(strengths)
        loss = self.ridge / 2 * (strengths @ strengths) - self.is_held @ (log_expit(strengths) - strengths / 2)
        gradient, curvature = votes.gradient.copy(), votes.curvature.copy()
        gradient[:size] += self.centring @ (self.ridge * strengths + self.is_held * (won - 0.5))
        curvature[:size, :size] += self._centred(self.is_held * won * (1 - won) + self.ridge)
        curvature[:size, :size] += np.diagonal(votes.curvature)[:size].mean() * self._together
        return Derivatives(votes.loss + float(loss), gradient, curvature)

    def sandwich(self, curvature: Floats, meat: Floats, at: Floats) -> Floats:
        """The covariance of all unknowns. An imagined tie counts in it as one vote whose outcome nobody knows."""
        size = len(self.component)
        won = expit(at[:size])
        filling = meat.copy()
        filling[:size, :size] += self._centred(self.is_held * (won**2 + (1 - won) ** 2) / 2)
        bread = cho_factor(curvature)
        result: Floats = cho_solve(bread, cho_solve(bread, filling).T)
        result = (result + result.T) / 2
        result[:size, :size] *= self._together
        np.fill_diagonal(result, np.maximum(np.diagonal(result), 0.0))
        return result

    def _centred(self, diagonal: Floats) -> Floats:
        result: Floats = (self.centring * diagonal) @ self.centring
        return result

    @property
    def _together(self) -> Mask:
        result: Mask = self.component[:, None] == self.component
        return result
