"""Voted battles, written down in one line."""

from collections.abc import Sequence
from typing import Any

from fastchat.data.records import Message
from fastchat.train.voted_battles import Outcome, VotedBattle


def talk(*texts: str) -> Sequence[Message]:
    """What the two say in turn; the user begins."""
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


def battle(
    vote_id: str, question: str, answer_a: str, answer_b: str, outcome: Outcome = "a", **fields: Any
) -> VotedBattle:
    named = {"model_a": "left", "model_b": "right", **fields}
    return VotedBattle(
        vote_id=vote_id,
        outcome=outcome,
        conversation_a=talk(question, answer_a),
        conversation_b=talk(question, answer_b),
        **named,
    )
