"""Tables of votes by hand."""

from collections.abc import Sequence
from typing import Any

from fastchat.arena.leaderboard.votes import VoteTable, table
from fastchat.ranking.comparisons import Outcome

Talk = list[dict[str, str]]


def talk(*said: str) -> Talk:
    """Question, answer, question, …"""
    return [{"role": "assistant" if number % 2 else "user", "content": content} for number, content in enumerate(said)]


def votes(number: int = 1, **columns: Sequence[Any]) -> VoteTable:
    """As many as the columns are long; `a` beats `b` unless they say otherwise. Any: what a cell may hold."""
    size = len(next(iter(columns.values()))) if columns else number
    plain: dict[str, Sequence[Any]] = {
        "model_a": ["a"] * size,
        "model_b": ["b"] * size,
        "outcome": [int(Outcome.LEFT)] * size,
    }
    return table({**plain, **columns})


def said(*answers: str, question: str = "Why is the sky blue?") -> VoteTable:
    """A vote for each answer, which stands on the right; the left one is harmless."""
    return votes(
        conv_a=[talk(question, "Light is scattered.")] * len(answers),
        conv_b=[talk(question, answer) for answer in answers],
    )
