"""Conversations that are there already: the same id, word for word, or nearly.

What is kept of a conversation is about 100 bytes for the same, and for nearly the same its MinHash signature (Broder,
1997) with its places in the index: about 3 kB.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fastchat.data.cleaning.rules import Dropped
from fastchat.data.packages import package
from fastchat.data.records import Conversation, Message
from fastchat.data.texts import excerpt, shingles, texts, words_of

_PERMUTATIONS = 128
_BANDS = 16  # pairs at 0.85 share one with a probability of 0.99, those at 0.5 with 0.06
_SEED = 42
_FEWEST_WORDS = 50  # short conversations are alike without being copies


@dataclass
class SameId:
    name: str = "ids"
    _seen: set[str] = field(default_factory=set)

    def mark(self, conversation: Conversation) -> str:
        return conversation.id

    def recognise(self, conversation: Conversation, mark: Any) -> Dropped | None:
        if mark in self._seen:
            return Dropped("the same id", conversation.id)
        self._seen.add(mark)
        return None


@dataclass
class Duplicates:
    """Of conversations that say the same, whatever their case and blanks, the first stays."""

    first_messages: int | None = None  # of each, only so many are compared; FastChat compared the first two
    name: str = "duplicates"
    _seen: dict[bytes, str] = field(default_factory=dict)

    def mark(self, conversation: Conversation) -> bytes:
        library: Any = package("xxhash", "Finding duplicates")
        normalised = "\0".join(map(_normalised, conversation.messages[: self.first_messages]))
        digest: bytes = library.xxh3_128_digest(normalised.encode())
        return digest

    def recognise(self, conversation: Conversation, mark: Any) -> Dropped | None:
        if (first := self._seen.get(mark)) is not None:
            return Dropped("says the same", f"as {first}: {excerpt(' / '.join(texts(conversation)))}")
        self._seen[mark] = conversation.id
        return None


@dataclass
class NearDuplicates:
    """Of conversations that share at least `threshold` of their sequences of three words (Jaccard's measure), the first
    stays. Candidates come from locality-sensitive hashing; the signatures decide.
    """

    threshold: float = 0.8
    name: str = "near-duplicates"
    _kept: list[tuple[str, Any]] = field(default_factory=list)  # id, signature

    @cached_property
    def _index(self) -> Any:
        library: Any = package("rensa", "Finding near duplicates")
        return library.RMinHashLSH(threshold=self.threshold, num_perm=_PERMUTATIONS, num_bands=_BANDS)

    def mark(self, conversation: Conversation) -> Any:
        if not all(isinstance(message["content"], str) for message in conversation.messages):
            return None  # the same words on another image are something else
        words = words_of("\n".join(texts(conversation)))
        return signature(shingles(words)) if len(words) >= _FEWEST_WORDS else None

    def recognise(self, conversation: Conversation, mark: Any) -> Dropped | None:
        if mark is None:
            return None
        for key in self._index.query(mark):
            earlier, other = self._kept[key]
            if (alike := mark.jaccard(other)) >= self.threshold:
                return Dropped(
                    "says nearly the same", f"{alike:.0%} of {earlier}: {excerpt(' / '.join(texts(conversation)))}"
                )
        self._index.insert(len(self._kept), mark)
        self._kept.append((conversation.id, mark))
        return None


def _normalised(message: Message) -> str:
    content, calls = message["content"], message.get("tool_calls")
    if isinstance(content, str) and not calls:
        return " ".join(content.split()).casefold()
    return json.dumps([content, calls], sort_keys=True)  # images count, and what a tool was asked


def signature(tokens: list[str]) -> Any:
    library: Any = package("rensa", "Finding near duplicates")
    made = library.RMinHash(_PERMUTATIONS, _SEED)
    made.update(tokens)
    return made
