"""Newton's method with step halving, for convex functions of as many unknowns as there are models.

It always starts where it is told to and uses no randomness, so the same votes give the same numbers.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fastchat.ranking.comparisons import Floats

STEP = 1e-12  # shorter steps change nothing that anyone could read
ROUNDING = 1e-6  # longer ones are made of more than rounding errors
GRADIENT = 1e-10  # a vote
STEPS = 500  # ten are usual; a ridge close to 0 on votes without a finite optimum needs most
HALVINGS = 60
ADDED = (0.0, 1e-15, 1e-13, 1e-11)  # to the diagonal, of itself


class Derivatives(NamedTuple):
    loss: float
    gradient: Floats  # (unknowns,)
    curvature: Floats  # (unknowns, unknowns), positive definite


def minimum(of: Callable[[Floats], Derivatives], start: Floats, votes: float) -> Floats:
    """Where the loss is least, as exactly as floating point allows. `votes` is how many the loss adds up.

    Raises:
        ValueError: it cannot be found, because the weights of the votes lie too far apart for floating point.
    """
    at, here, previous = start, of(start), math.inf
    for _ in range(STEPS):
        step = solve(here.curvature, here.gradient)
        length = float(np.abs(step).max(initial=0.0))
        if length <= STEP:
            return at - step
        # Steps shrink quadratically until they are made of rounding errors, which with millions of votes is above STEP.
        is_rounding = length <= ROUNDING and length > previous / 2
        if is_rounding and np.linalg.norm(here.gradient) <= GRADIENT * votes:
            return at
        at, here, previous = *_descend(of, at, here, step), length
    raise ValueError(f"no optimum within {STEPS} steps: the weights of the votes lie too far apart")


def solve(curvature: Floats, right: Floats) -> Floats:
    """As of a matrix that is positive definite but perhaps for rounding; then a trifle is added to its diagonal.

    Raises:
        ValueError: it is far from positive definite.
    """
    for added in ADDED:
        try:
            factor = cho_factor(curvature + np.diag(added * np.diagonal(curvature)), check_finite=False)
        except np.linalg.LinAlgError:
            continue
        solution: Floats = cho_solve(factor, right, check_finite=False)
        if np.isfinite(solution).all():
            return solution
    raise ValueError("the weights of the votes lie too far apart to find strengths for them")


def _descend(
    of: Callable[[Floats], Derivatives], at: Floats, here: Derivatives, step: Floats
) -> tuple[Floats, Derivatives]:
    """The first of the whole step, its half, its quarter … that goes down as a part of that size should."""
    slope = float(here.gradient @ step)
    rounding = 1e-13 * abs(here.loss)
    size = 1.0
    for _ in range(HALVINGS):
        there = of(at - size * step)
        if there.loss <= here.loss - 1e-4 * size * slope + rounding:
            return at - size * step, there
        size /= 2
    return at, here
