"""What stands of a conversation on one side, after some of its messages.

A question takes back all that came at or after its turn; an answer takes the place of the attempt before it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from fastchat.arena.records import Side
from fastchat.arena.store.reading import Message


class Standing(NamedTuple):
    question: Message
    answer: Message | None


def standing(messages: Iterable[Message], side: Side) -> list[Standing]:
    """Of messages as they came."""
    turns: dict[int, Standing] = {}
    for message in messages:
        if message.side is None:
            turns = {turn: known for turn, known in turns.items() if turn < message.turn}
            turns[message.turn] = Standing(message, None)
        elif message.side is side and message.turn in turns:
            turns[message.turn] = Standing(turns[message.turn].question, message)
    return [turns[turn] for turn in sorted(turns)]
