"""Conversations as files that others read: ShareGPT's JSON (FastChat's format) or JSON lines, and OpenAI's messages.

A file is written beside its place and moved there when it is whole: what was there stays until then, whatever happens,
and the file that is read may be the one that is written.
"""

import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast

from fastchat.core.errors import SetupError
from fastchat.data.packages import package
from fastchat.data.records import Conversation, Message

Form: TypeAlias = Literal["sharegpt", "messages"]
_LINES = (".jsonl", ".ndjson")
_ENDINGS = (".json", *_LINES)
_NAMES = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}


class ConversationFile:
    """A file that is being written, a list or a line each, as its name says; `.gz` packs it."""

    def __init__(self, stream: BinaryIO, form: Form, is_lines: bool) -> None:
        self._stream = stream
        self._as_row: Callable[[Conversation], Mapping[str, Any]] = sharegpt if form == "sharegpt" else messages
        self._is_lines = is_lines
        self._orjson: Any = package("orjson", "Writing conversations")
        self.count = 0

    def write(self, conversation: Conversation) -> None:
        row = self._as_row(conversation)
        if self._is_lines:
            self._stream.write(self._orjson.dumps(row) + b"\n")
        else:
            data = self._orjson.dumps(row, option=self._orjson.OPT_INDENT_2)
            self._stream.write((b",\n  " if self.count else b"[\n  ") + data.replace(b"\n", b"\n  "))
        self.count += 1

    def end(self) -> None:
        if not self._is_lines:
            self._stream.write(b"\n]\n" if self.count else b"[]\n")


def check_ending(file: Path) -> None:
    """
    Raises:
        SetupError: its name does not say whether it is to be a list or lines.
    """
    if not file.name.removesuffix(".gz").endswith(_ENDINGS):
        raise SetupError(f"Conversations are written as .json or .jsonl, also .gz: {file.name!r} is neither.")


@contextmanager
def conversation_file(file: Path, form: Form | None = None) -> Iterator[ConversationFile]:
    """In its place when the block ends without an error. Without `form`, it is FastChat's.

    Raises:
        SetupError: it cannot be written.
    """
    with _draft(file) as stream:
        writer = ConversationFile(stream, form or "sharegpt", file.name.removesuffix(".gz").endswith(_LINES))
        yield writer
        writer.end()


def write_conversations(file: Path, conversations: Iterable[Conversation], form: Form | None = None) -> int:
    """How many there were.

    Raises:
        SetupError: it cannot be written.
    """
    with conversation_file(file, form) as writer:
        for conversation in conversations:
            writer.write(conversation)
    return writer.count


def sharegpt(conversation: Conversation) -> Mapping[str, Any]:
    """What is said first by the system stands beside the conversation, so that people and models take turns in it."""
    rest = list(conversation.messages)
    system = rest.pop(0)["content"] if rest and rest[0]["role"] == "system" else None
    row = {"id": conversation.id, **conversation.extra}
    if system is not None:
        row["system"] = system
    return _with_rest(row, conversation) | {"conversations": [said for message in rest for said in _said(message)]}


def messages(conversation: Conversation) -> Mapping[str, Any]:
    row = {"id": conversation.id, **conversation.extra}
    return _with_rest(row, conversation) | {"messages": list(conversation.messages)}


def _with_rest(row: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    if conversation.tools:
        row["tools"] = list(conversation.tools)
    if conversation.weight != 1:
        row["weight"] = conversation.weight
    return row


def _said(message: Message) -> Iterator[Mapping[str, Any]]:
    rest = {key: value for key, value in message.items() if key not in ("role", "content", "tool_calls")}
    calls = message.get("tool_calls")
    if message["content"] or not calls:
        yield {"from": _NAMES[message["role"]], "value": message["content"], **rest}
    if calls:
        written = [_call(call["function"]) for call in calls]
        value = json.dumps(written[0] if len(written) == 1 else written, ensure_ascii=False)
        yield {"from": "function_call", "value": value}


def _call(function: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = function["arguments"]
    try:
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        pass  # a model wrote it, and it stays as it was
    return {"name": function["name"], "arguments": arguments}


@contextmanager
def _draft(file: Path) -> Iterator[BinaryIO]:
    target = file.resolve()  # of a link, what it leads to
    if target.exists() and not target.is_file():
        raise SetupError(f"{file} is a folder or a device. Name a file to write.")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, 0) if file.suffix == ".gz" else raw as stream:
            yield cast(BinaryIO, stream)
        draft.replace(target)
    except OSError as error:
        if error.filename not in (None, str(draft)):
            raise
        raise SetupError(f"{file} cannot be written: {error.strerror or error}.") from None
    finally:
        draft.unlink(missing_ok=True)
