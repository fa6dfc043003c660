"""What a rule is.

A `Rule` looks at one conversation and knows nothing of others, so many processes apply it at once. A `Memory` compares
with what came before: its `mark` is taken beside the rules, and only `recognise` has to see all conversations in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from fastchat.data.records import Conversation


@dataclass(frozen=True, slots=True)
class Dropped:
    why: str  # one of a few words, to be counted
    found: str = ""  # what was found, as an example


@dataclass(frozen=True, slots=True)
class Changed:
    conversation: Conversation
    why: str
    found: str = ""


Outcome: TypeAlias = Changed | Dropped | None


class Rule(Protocol):
    """It travels to other processes, so it holds no loaded model."""

    @property
    def name(self) -> str: ...

    def apply(self, conversation: Conversation) -> Outcome:
        """None keeps it as it is."""


@runtime_checkable
class BatchRule(Protocol):
    """A rule that is much quicker on many conversations at once."""

    def apply_all(self, conversations: Sequence[Conversation]) -> Sequence[Outcome]: ...


class Memory(Protocol):
    """It is asked in one process; its `mark` in many."""

    @property
    def name(self) -> str: ...

    def mark(self, conversation: Conversation) -> Any:  # Any: its own kind, which travels between processes
        """All it has to know of a conversation."""

    def recognise(self, conversation: Conversation, mark: Any) -> Dropped | None:
        """None: there was no such one before. It is remembered."""
