"""Votes made up for tests of boards: as many as needed, of models whose strengths are known."""

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from fastchat.arena.leaderboard.votes import VoteTable, table
from fastchat.ranking.comparisons import Outcome

STRENGTHS = {"ace": 1.2, "bee": 0.6, "cat": 0.0, "dog": -0.6, "eel": -1.2}
DAY_S = 86400


def rows(
    number: int, strengths: Mapping[str, float] = STRENGTHS, seed: int = 0, left: float = 0.0
) -> dict[str, list[Any]]:
    """Plain columns; every tenth vote is a tie, every twentieth says that both are bad."""
    random = Random(seed)
    columns: dict[str, list[Any]] = {"model_a": [], "model_b": [], "outcome": [], "tstamp": [], "voter": []}
    for at in range(number):
        one, two = random.sample(sorted(strengths), 2)
        chance = 1 / (1 + math.exp(strengths[two] - strengths[one] - left))
        won = Outcome.LEFT if random.random() < chance else Outcome.RIGHT
        outcome = Outcome.BOTH_BAD if at % 20 == 19 else Outcome.TIE if at % 10 == 4 else won
        values = (one, two, int(outcome), 1_700_000_000.0 + at * 10 * DAY_S / number, f"voter{at % 17}")
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return columns


def votes(number: int = 1000, **others: Sequence[Any]) -> VoteTable:
    return table(rows(number) | others)
