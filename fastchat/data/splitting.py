"""Long conversations in parts that fit: whole rounds, as many as go into a part."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fastchat.data.records import PART_OF, Conversation
from fastchat.data.texts import rounds

_AROUND = 6  # tokens that a prompt format puts around a message, as FastChat reckoned


def split(conversation: Conversation, lengths: Sequence[int], max_tokens: int) -> Iterator[Conversation]:
    """Parts are called `<id>_<number of their first message>`; each begins with the system's message, if there is one,
    and says under `part_of` which conversation it was cut from, so that all are held out from training or none.

    `lengths` are the tokens of the messages. A round that is too long by itself is a part by itself.
    """
    messages = list(conversation.messages)
    system = messages[:1] if messages and messages[0]["role"] == "system" else []
    sizes = [length + _AROUND for length in lengths[len(system) :]]
    room = max_tokens - sum(lengths[: len(system)]) - _AROUND * len(system)
    start = at = used = 0
    for turn in rounds(messages[len(system) :]):
        size = sum(sizes[at : at + len(turn)])
        if used and used + size > room:
            yield _part(conversation, len(system), start, at)
            start, used = at, 0
        at, used = at + len(turn), used + size
    if at > start:
        yield _part(conversation, len(system), start, at)


def _part(conversation: Conversation, first: int, start: int, end: int) -> Conversation:
    chosen = [*conversation.messages[:first], *conversation.messages[first + start : first + end]]
    extra = {PART_OF: conversation.id, **conversation.extra}  # of a part of a part, the whole
    return replace(conversation, id=f"{conversation.id}_{start}", messages=chosen, extra=extra)
