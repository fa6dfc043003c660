"""Votes on two conversations, and where the two part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fastchat.data.records import Message

Outcome: TypeAlias = Literal["a", "b", "tie", "both_bad"]


@dataclass(frozen=True, slots=True)
class VotedBattle:
    """A vote with both conversations, as they stood when it was cast."""

    vote_id: str
    model_a: str
    model_b: str
    outcome: Outcome
    conversation_a: Sequence[Message]
    conversation_b: Sequence[Message]
    conversation_id: str = ""  # shared by the votes on one conversation; empty: there is only this one
    voter: str | None = None
    is_blind: bool = True  # the voter did not know the names
    source: str = ""  # file or arena


@dataclass(frozen=True, slots=True)
class Comparison:
    """A vote on two answers to one prompt. Behind the first answer more questions may stand, each with its answer."""

    battle: VotedBattle
    prompt: Sequence[Message]
    answer_a: Sequence[Message]
    answer_b: Sequence[Message]

    @property
    def is_decided(self) -> bool:
        return self.battle.outcome in ("a", "b")

    @property
    def winner(self) -> str | None:
        return {"a": self.battle.model_a, "b": self.battle.model_b}.get(self.battle.outcome)

    @property
    def loser(self) -> str | None:
        return {"a": self.battle.model_b, "b": self.battle.model_a}.get(self.battle.outcome)

    @property
    def chosen(self) -> Sequence[Message]:
        return self.answer_b if self.battle.outcome == "b" else self.answer_a

    @property
    def rejected(self) -> Sequence[Message]:
        return self.answer_a if self.battle.outcome == "b" else self.answer_b


class Incomparable(ValueError):
    """A battle from which nothing can be learned; the message says why, of any such battle."""


UNLIKE = "the two were not asked the same"
UNFINISHED = "an answer is missing"
PICTURES = "there is more than text"
SAME = "both answers are the same"


def compared(battle: VotedBattle) -> Comparison:
    """
    Raises:
        Incomparable: the conversations do not part between a question and its answers.
    """
    left, right = battle.conversation_a, battle.conversation_b
    if not all(isinstance(message["content"], str) for message in (*left, *right)):
        raise Incomparable(PICTURES)
    if _questions(left) != _questions(right):
        raise Incomparable(UNLIKE)
    same = 0
    while same < min(len(left), len(right)) and _is_same(left[same], right[same]):
        same += 1
    if same == len(left) == len(right):
        raise Incomparable(SAME)
    prompt, answer_a, answer_b = left[:same], left[same:], right[same:]
    if not prompt or prompt[-1]["role"] != "user" or not all(map(_is_answer, (answer_a, answer_b))):
        raise Incomparable(UNFINISHED)
    return Comparison(battle, prompt, answer_a, answer_b)


def _is_same(left: Message, right: Message) -> bool:
    return (left["role"], left["content"]) == (right["role"], right["content"])


def _is_answer(rest: Sequence[Message]) -> bool:
    """Whether it begins and ends with the model, and nothing that it says is empty."""
    said = [message["content"] for message in rest if message["role"] == "assistant"]
    return bool(rest) and {rest[0]["role"], rest[-1]["role"]} == {"assistant"} and all(text.strip() for text in said)


def _questions(talk: Sequence[Message]) -> list[str]:
    return [message["content"] for message in talk if message["role"] != "assistant"]
