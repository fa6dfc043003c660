"""What holds strengths in place beside the votes: imagined ties, a ridge, and the zero of each component."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from fastchat.ranking.comparisons import Codes, Floats, Mask
from fastchat.ranking.newton import Derivatives, solve


@dataclass(frozen=True, slots=True, eq=False)
class Restraint:
    """Of strengths that sum to zero within each component; in vectors of unknowns they stand first."""

    component: Codes  # (models,)
    is_held: Mask  # (models,): an imagined tie with a model of strength 0 sees to it that there is an optimum
    ridge: float

    def on(self, votes: Derivatives, at: Floats) -> Derivatives:
        """The votes' derivatives with this added; the curvature is made positive along the components' zeros."""
        size = len(self.component)
        strengths = at[:size]
        won = expit(strengths)
        loss = self.ridge / 2 * (strengths @ strengths) - self.is_held @ (log_expit(strengths) - strengths / 2)
        gradient, curvature = votes.gradient.copy(), votes.curvature.copy()
        gradient[:size] = self.centred(gradient[:size] + self.ridge * strengths + self.is_held * (won - 0.5))
        curvature[:size, :size] += self._centred_diagonal(self.is_held * won * (1 - won) + self.ridge)
        curvature[:size, :size] += np.diagonal(votes.curvature)[:size].mean() * self._together
        return Derivatives(votes.loss + float(loss), gradient, curvature)

    def sandwich(self, curvature: Floats, meat: Floats, at: Floats) -> Floats:
        """The covariance of all unknowns, from the curvature of `on`. The ridge has no part in the middle, being no
        vote."""
        size = len(self.component)
        won = expit(at[:size])
        filling = meat.copy()
        # An imagined tie counts as one vote whose outcome nobody knows. As a tie, which it would always have been, it
        # would seem to make sure what it only makes finite.
        filling[:size, :size] += self._centred_diagonal(self.is_held * (won**2 + (1 - won) ** 2) / 2)
        result = solve(curvature, solve(curvature, filling).T)
        result = (result + result.T) / 2
        result[:size, :size] *= self._together
        np.fill_diagonal(result, np.maximum(np.diagonal(result), 0.0))
        return result

    def centred(self, strengths: Floats) -> Floats:
        """Without each component's mean."""
        result: Floats = strengths - self._mean(strengths)
        return result

    def _centred_diagonal(self, diagonal: Floats) -> Floats:
        """The diagonal matrix, centred by component from both sides."""
        share = diagonal / np.bincount(self.component)[self.component]
        result: Floats = np.diag(diagonal) + self._together * (self._mean(share) - share[:, None] - share)
        return result

    @property
    def _together(self) -> Mask:
        """(models, models): of one component."""
        result: Mask = self.component[:, None] == self.component
        return result

    def _mean(self, vector: Floats) -> Floats:
        """(models,): of each one's component."""
        result: Floats = (np.bincount(self.component, vector) / np.bincount(self.component))[self.component]
        return result
