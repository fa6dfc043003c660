"""What is trained on: conversations, and what people preferred.

Messages are OpenAI's (`role`, `content`, `tool_calls`, …) whatever format they were read from; readers map the names
that others give to roles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Message: TypeAlias = Mapping[str, Any]

PART_OF = "part_of"  # field of what is one conversation with others: parts of a long one, ways through a tree, a battle


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation. `extra` are fields of its file that we do not know; they are written again."""

    id: str
    messages: Sequence[Message]
    source: str = ""  # file or set it came from
    weight: float = 1.0  # of its loss
    tools: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> str:
        """The id of what this belongs to; all of that is held out from training, or none."""
        return str(self.extra.get(PART_OF, self.id))


@dataclass(frozen=True, slots=True)
class Preference:
    """To `prompt`, which ends with a user's message, people preferred `chosen` to `rejected`."""

    id: str
    prompt: Sequence[Message]
    chosen: Sequence[Message]
    rejected: Sequence[Message]
    votes: Sequence[str] = ()  # ids of the votes it came from
    source: str = ""
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Rated:
    """To `prompt`, `completion` is one that people want (or do not): what KTO learns from."""

    id: str
    prompt: Sequence[Message]
    completion: Sequence[Message]
    is_wanted: bool
    votes: Sequence[str] = ()
    source: str = ""
    weight: float = 1.0
