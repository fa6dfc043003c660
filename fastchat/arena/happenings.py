"""What happened in a conversation, told to whoever keeps a record beside the store, after it is on the disk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from fastchat.arena.records import Answer, Conversation, Thumb, Turn, Vote


@dataclass(frozen=True, slots=True)
class AnswerWritten:
    turn: Turn
    answer: Answer


@dataclass(frozen=True, slots=True)
class VoteCast:
    vote: Vote


@dataclass(frozen=True, slots=True)
class ThumbGiven:
    answer: Answer
    thumb: Thumb
    at: float


@dataclass(frozen=True, slots=True)
class ConversationShared:
    at: float


Happening: TypeAlias = AnswerWritten | VoteCast | ThumbGiven | ConversationShared

# The conversation as it stands, what happened in it, and the keyed hash of the address it came from.
Tell: TypeAlias = Callable[[Conversation, Happening, str], None]


def tell_nobody(conversation: Conversation, happening: Happening, address_hash: str) -> None:
    """Where no record is kept."""
