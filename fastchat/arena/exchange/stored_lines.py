"""The lines of a stored conversation.

A conversation of this arena gives the lines FastChat would have written. One that came from FastChat's logs remembers
in `details` which lines there were, and of each what our own would not have said:

    {"fastchat": {"sides": {"left": {…}}, "lines": [{"type": "chat", "at": 1700000001.5, "message": ID, "patch": {…}}]}}
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fastchat.arena.exchange import fastchat_lines
from fastchat.arena.exchange.fastchat_lines import CHAT, Line
from fastchat.arena.exchange.log_files import TEXT, VISION
from fastchat.arena.exchange.patches import apply
from fastchat.arena.records import Ending, Thumb
from fastchat.arena.store.reading import Message, Transcript

KEY = "fastchat"
_LOGGED = (Ending.COMPLETE, Ending.CUT_OFF, Ending.STOPPED)  # FastChat logs no failures


class StoredLine(NamedTuple):
    at: float
    log: str  # which of FastChat's logs it belongs to: `log_files.log_of`
    line: Line


def is_imported(transcript: Transcript) -> bool:
    return KEY in transcript.details


def lines_of(transcript: Transcript) -> list[StoredLine]:
    """By time. None of an erased conversation."""
    if transcript.erased_at is not None:
        return []
    lines = _remembered(transcript) if is_imported(transcript) else _own(transcript)
    return sorted(lines, key=lambda line: line.at)


def base_line(transcript: Transcript, kind: str, at: float, answer: Message | None) -> Line:
    """What we should have written."""
    if kind == CHAT and answer is not None:
        return fastchat_lines.stored_chat_line(transcript, answer)
    if answer is not None:
        return fastchat_lines.stored_thumb_line(transcript, kind, answer, at)
    return fastchat_lines.stored_pair_line(transcript, kind, at)


def _remembered(transcript: Transcript) -> Iterator[StoredLine]:
    messages = {message.message_id: message for message in transcript.messages}
    record: Mapping[str, Any]  # Any: JSON of our own, from `assembling`
    for record in transcript.details[KEY].get("lines", ()):
        base = base_line(transcript, record["type"], record["at"], messages.get(record.get("message", "")))
        yield StoredLine(record["at"], record.get("log", TEXT), apply(base, record.get("patch", {})))


def _own(transcript: Transcript) -> Iterator[StoredLine]:
    log = VISION if _has_images(transcript) else TEXT
    messages = {message.message_id: message for message in transcript.messages}
    for message in transcript.messages:
        if message.side is not None and message.ending in _LOGGED:
            line = base_line(transcript, CHAT, message.created_at, message)
            yield StoredLine(line["tstamp"], log, line)
    for given in transcript.thumbs:
        line = base_line(transcript, Thumb(given.thumb), given.given_at, messages[given.message_id])
        yield StoredLine(given.given_at, log, line)
    if transcript.vote is not None:
        vote = transcript.vote.vote
        yield StoredLine(vote.cast_at, log, base_line(transcript, vote.outcome, vote.cast_at, None))


def _has_images(transcript: Transcript) -> bool:
    return any(part.type == "image" for message in transcript.messages for part in message.parts)
