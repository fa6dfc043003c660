"""Weights that undo matchmaking: a vote on a pair that was seldom drawn counts for the votes that were not asked.

They aim at what uniformly drawn pairs would have said (Chatbot Arena, arXiv 2403.04132, equation 7). That differs from
the plain estimate only as far as Bradley-Terry does not hold, and it costs votes: see `effective`.
"""

from dataclasses import dataclass

import numpy as np

from fastchat.ranking.comparisons import Floats


@dataclass(frozen=True, slots=True, eq=False)
class InverseWeights:
    weights: Floats  # (votes,), 1 on average, so that a ridge means the same with and without them
    effective: float  # as many votes of equal weight would be as precise
    clipped: int  # how many votes were drawn with less than the floor
    floor: float


def inverse_propensities(probabilities: Floats, *, floor: float = 0.0) -> InverseWeights:
    """1 / P, where P is the probability with which a vote's pair was drawn, as the sampling log has it.

    `floor` replaces smaller probabilities, so that no vote counts for too many: less variance, some bias.

    Raises:
        ValueError: a probability is missing or outside of 0 to 1.
    """
    if not 0 <= floor <= 1:
        raise ValueError(f"the floor of probabilities is {floor}; it has to be from 0 to 1, and 0 is none")
    bad = ~((probabilities > 0) & (probabilities <= 1))
    if bad.any():
        raise ValueError(
            f"{bad.sum()} of {len(bad)} votes have no probability above 0 and up to 1 of their pair being drawn, "
            f"the first is number {int(np.argmax(bad)) + 1}; leave such votes out, or do without these weights"
        )
    inverse = 1 / np.maximum(probabilities, floor)
    weights = inverse / inverse.mean() if len(inverse) else inverse
    return InverseWeights(weights, effective_size(weights), int((probabilities < floor).sum()), floor)


def effective_size(weights: Floats) -> float:
    """Kish's: the square of the sum over the sum of squares."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0
