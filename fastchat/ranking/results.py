"""What a fit gives: strengths, how sure they are, and all that they were made from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastchat.ranking.comparisons import Floats

ELO_PER_LOGIT = 400 / math.log(10)
NOTHING = 1e-18  # variances below it are rounding errors


class Coefficient(NamedTuple):
    """Of something that is no model: a style, the left side."""

    estimate: float  # in natural log-odds, a unit of the covariate
    error: float  # standard error


class Unbounded:
    """Signs in `Estimates.unbounded`: the votes set no bound to a strength on this side."""

    NO, ABOVE, BELOW = 0, 1, -1


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Strengths of models in natural log-odds, and the covariance of their errors.

    Strengths compare only within a component of models that met, directly or through others; within each, they sum to
    zero, and the covariance is that of strengths so centred. Between components it is zero and means nothing.
    """

    models: tuple[str, ...]
    strengths: Floats  # (models,)
    covariance: Floats  # (models, models)
    votes: NDArray[np.int64]  # (models,)
    component: NDArray[np.int32]  # (models,): 0 is the component with most votes
    unbounded: NDArray[np.int8]  # (models,) of Unbounded
    method: str
    parameters: Mapping[str, Any]  # plain JSON values
    digest: str  # of the comparisons or counts
    version: str  # of the code
    coefficients: Mapping[str, Coefficient] = field(default_factory=dict)
    draws: Floats | None = None  # (rounds, models): strengths of bootstrapped votes, if these were the way

    @property
    def errors(self) -> Floats:
        """(models,): standard errors."""
        return np.sqrt(np.diagonal(self.covariance))


@dataclass(frozen=True, slots=True)
class Scale:
    """From log-odds to the numbers of a board: 400 points are odds of ten to one.

    A component's mean is `offset`, or if it has the anchor, that model's rating is `offset`.
    """

    offset: float = 1000.0
    anchor: str | None = None

    def ratings(self, of: Estimates) -> Floats:
        return self.offset + ELO_PER_LOGIT * (of.strengths - self._zero(of))

    def _zero(self, of: Estimates) -> Floats:
        zero = np.zeros(len(of.models))
        if self.anchor in of.models:
            at = of.models.index(self.anchor)
            zero[of.component == of.component[at]] = of.strengths[at]
        return zero
