"""What a teacher is asked: prompts, or the questions of conversations that others had.

Why is the sky blue?                                              a .txt file, a line each
{"prompt": "Why is the sky blue?"}                                also `question` or `text`; or messages
{"instruction": "Translate.", "input": "Himmel"}                  Alpaca's, without an answer
{"turns": ["Why is the sky blue?", "And at night?"]}              a question set of `fastchat bench`
{"conversations": [{"from": "human", "value": "Hi"}, …]}          any format of `fastchat data`, without its answers
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.data.readers.conversations import read_conversations
from fastchat.data.readers.files import Fields, Record, read_records, shown
from fastchat.data.readers.formats import FORMATS
from fastchat.data.readers.messages import Misshapen, as_messages
from fastchat.data.records import Message
from fastchat.data.texts import text_of

_PROMPTS = ("prompt", "instruction", "turns", "question", "text")


@dataclass(frozen=True, slots=True)
class Exercise:
    """Questions that are asked one after the other, each with the answers to those before it."""

    number: int  # in its file, from 0
    id: str
    turns: Sequence[str]
    system: str | None = None
    source: str = ""


def read_exercises(file: Path, format: str | None = None) -> Iterator[Exercise]:
    """`format` is one of conversations; without it, the first record tells.

    Raises:
        SetupError: the file cannot be read, or one of its records asks nothing, or with more than words.
    """
    for number, (id, source, messages) in enumerate(_asked(file, format)):
        system = next((text_of(message) for message in messages if message["role"] == "system"), None)
        questions = [message for message in messages if message["role"] == "user"]
        if any(not isinstance(message["content"], str) and _is_more(message) for message in questions):
            raise SetupError(f"{file}: conversation {id!r} asks with more than words, and a teacher is asked in words.")
        turns = tuple(text for text in map(text_of, questions) if text.strip())
        if not turns:
            raise SetupError(f"{file}: {id!r} asks nothing: there is no user's message in it. Take it out.")
        yield Exercise(number, id, turns, system or None, source)


def digest(file: Path) -> str:
    """
    Raises:
        SetupError: it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None


def _asked(file: Path, format: str | None) -> Iterator[tuple[str, str, Sequence[Message]]]:
    """Id, source, messages."""
    if file.suffix == ".txt":
        yield from ((f"{file.stem}_{number}", file.name, [_user(line)]) for number, line in enumerate(_lines(file)))
        return
    first = next(islice(read_records(file), 1), None)
    if first is None:
        raise SetupError(f"{file} holds nothing to ask.")
    if format is None and (of_record := _way(first.fields)) is not None:
        for record in read_records(file):
            try:
                yield _id(record), file.name, of_record(record.fields)
            except Misshapen as error:
                raise SetupError(f"{record.place}: {error}.") from None
        return
    for conversation in read_conversations(file, format):
        yield conversation.id, conversation.source, conversation.messages


def _way(fields: Fields) -> Callable[[Fields], Sequence[Message]] | None:
    """How prompts are read that are no conversations; None: they are some."""
    if any(known.fits(fields) for known in FORMATS.values()):
        return None
    return _prompt if any(name in fields for name in _PROMPTS) else None


def _prompt(fields: Fields) -> Sequence[Message]:
    system = [{"role": "system", "content": fields["system"]}] if isinstance(fields.get("system"), str) else []
    given = next((fields[name] for name in _PROMPTS if fields.get(name)), None)
    if isinstance(given, list) and given and all(isinstance(turn, str) for turn in given):
        return [*system, *map(_user, given)]
    if isinstance(given, list):
        return [*system, *as_messages(given, "prompt")]
    if not isinstance(given, str):
        raise Misshapen(f"a prompt is a text under one of {', '.join(_PROMPTS)}; found {shown(fields)}")
    more = fields.get("input")
    return [*system, _user(f"{given}\n{more}" if isinstance(more, str) and more.strip() else given)]


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _is_more(message: Message) -> bool:
    return any(not isinstance(part.get("text"), str) for part in message["content"])


def _lines(file: Path) -> Iterator[str]:
    try:
        with file.open(encoding="utf-8") as stream:
            yield from (line.strip() for line in stream if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file} cannot be read: {error}.") from None


def _id(record: Record) -> str:
    given = next((record.fields[name] for name in ("id", "question_id") if record.fields.get(name) is not None), None)
    return f"{record.file.name.partition('.')[0]}_{record.number - 1}" if given is None else str(given)
