"""Simulated crowds of voters, honest and otherwise, for tests of what tells them apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastchat.ranking.comparisons import Comparisons, Outcome

HONEST = "honest"
BEHAVIOURS = ("random", "random of three", "coin", "left", "right", "tie", "contrarian", "favourite")
FAVOURED = 3  # its code


@dataclass(frozen=True, slots=True)
class World:
    """Where models differ in strength, some more than others, and equal ones tie more often."""

    models: int = 20
    spread: float = 1.2  # standard deviation of strengths, in log-odds
    ties: float = 0.8  # Davidson's parameter
    both_bad: float = 0.15  # share of votes, whichever the models are
    left_bonus: float = 0.1  # in log-odds

    def chances(self, apart: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, outcomes): `apart` is how much stronger the left one is."""
        apart = apart + self.left_bonus
        odds = np.exp(np.stack([apart / 2, -apart / 2, np.full_like(apart, np.log(self.ties))], axis=1))
        decided = odds / odds.sum(axis=1, keepdims=True) * (1 - self.both_bad)
        return np.concatenate([decided, np.full((len(apart), 1), self.both_bad)], axis=1)


def crowd(
    rng: np.random.Generator, voters: dict[str, int], votes_each: int, world: World = World(), taste: float = 0.0
) -> tuple[Comparisons, NDArray[np.str_]]:
    """Votes in a random order, and the behaviour of each voter by code.

    `taste`: standard deviation of what a voter adds to the strength of each model by liking.
    """
    behaviours = np.repeat(list(voters), list(voters.values()))
    strengths = rng.normal(0, world.spread, world.models)
    voter = rng.permutation(np.repeat(np.arange(len(behaviours)), votes_each))
    rows = len(voter)
    left = rng.integers(world.models, size=rows)
    right = (left + rng.integers(1, world.models, size=rows)) % world.models
    liked = strengths + rng.normal(0, taste, (len(behaviours), world.models)) if taste else strengths[None, :]
    by = voter if taste else np.zeros(rows, dtype=int)
    chances = world.chances(liked[by, left] - liked[by, right])
    honest = (rng.random((rows, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 3)
    coin = rng.integers(2, size=rows)
    said = {
        HONEST: honest,
        "random": rng.integers(4, size=rows),
        "random of three": rng.integers(3, size=rows),
        "coin": coin,
        "left": np.full(rows, Outcome.LEFT),
        "right": np.full(rows, Outcome.RIGHT),
        "tie": np.full(rows, Outcome.TIE),
        "contrarian": np.where(strengths[left] > strengths[right], Outcome.RIGHT, Outcome.LEFT),
        "favourite": np.select([left == FAVOURED, right == FAVOURED], [Outcome.LEFT, Outcome.RIGHT], honest),
    }
    outcome = np.select([behaviours[voter] == each for each in said], list(said.values()))
    names = tuple(f"m{number:03}" for number in range(world.models))
    return (
        Comparisons(
            names,
            left.astype(np.int32),
            right.astype(np.int32),
            outcome.astype(np.int8),
            voter=voter.astype(np.int32),
        ),
        behaviours,
    )
