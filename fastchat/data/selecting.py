"""Parts of files of conversations: some of them, the first round of each, a share held out for tests."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from fastchat.data.records import Conversation
from fastchat.data.texts import rounds, texts


def part(
    conversations: Iterable[Conversation], begin: int | None = None, end: int | None = None
) -> Iterator[Conversation]:
    """From number `begin`, counted from 0, to before `end`."""
    return islice(conversations, begin, end)


def of_model(conversations: Iterable[Conversation], models: Sequence[str]) -> Iterator[Conversation]:
    """Those written by one of these models, and those of which nobody says by whom."""
    return (one for one in conversations if one.extra.get("model") is None or one.extra["model"] in models)


def first_rounds(conversations: Iterable[Conversation]) -> Iterator[Conversation]:
    for one in conversations:
        system = [message for message in one.messages[:1] if message["role"] == "system"]
        turns = rounds(one.messages[len(system) :])
        yield replace(one, messages=[*system, *(turns[0] if turns else [])])


def short_enough(conversations: Iterable[Conversation], max_chars: int) -> Iterator[Conversation]:
    return (one for one in conversations if sum(map(len, texts(one))) <= max_chars)


def reservoir(conversations: Iterable[Conversation], count: int, seed: int) -> list[Conversation]:
    """So many at random, in their order (Vitter's algorithm R): only they are in memory."""
    rng = random.Random(seed)
    kept: list[tuple[int, Conversation]] = []
    for number, one in enumerate(conversations):
        if len(kept) < count:
            kept.append((number, one))
        elif (place := rng.randrange(number + 1)) < count:
            kept[place] = number, one
    return [one for _, one in sorted(kept, key=lambda each: each[0])]


def is_held_out(conversation: Conversation, share: float, seed: int) -> bool:
    """By its first question, so that the same question is never on both sides, whichever file it is in."""
    asked = " ".join((texts(conversation, "user") or [conversation.id])[0].split()).casefold()
    digest = hashlib.sha256(f"{seed}\0{asked}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64
