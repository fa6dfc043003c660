"""What is in a file of conversations, in numbers. Lengths are tokens where a tokenizer is at hand, else characters."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fastchat.data.records import Conversation
from fastchat.data.texts import text_of

BOUNDS = (0, 1024, 2048, 4096, 8192, 16384, 32768)


@dataclass
class Statistics:
    conversations: int = 0
    rounds: int = 0
    roles: Counter[str] = field(default_factory=Counter)  # messages
    lengths: Counter[str] = field(default_factory=Counter)  # by role, summed
    histogram: list[int] = field(default_factory=lambda: [0] * len(BOUNDS))  # of whole conversations, by lower bound
    longest: int = 0

    def add(self, conversation: Conversation, lengths: Sequence[int]) -> None:
        self.conversations += 1
        self.rounds += sum(message["role"] == "user" for message in conversation.messages)
        for message, length in zip(conversation.messages, lengths, strict=True):
            self.roles[message["role"]] += 1
            self.lengths[message["role"]] += length
        total = sum(lengths)
        self.longest = max(self.longest, total)
        self.histogram[bisect_right(BOUNDS, total) - 1] += 1

    @property
    def mean_rounds(self) -> float:
        return self.rounds / self.conversations if self.conversations else 0.0

    def mean_length(self, role: str) -> float:
        return self.lengths[role] / self.roles[role] if self.roles[role] else 0.0


def in_characters(conversations: Iterable[Conversation]) -> Iterator[tuple[Conversation, list[int]]]:
    return ((one, [len(text_of(message)) for message in one.messages]) for one in conversations)
