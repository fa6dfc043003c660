"""Function calls for models whose template knows none, and for calls the caller insists on.

The functions are described in the system message, the grammars in `grammars.py` see to the form of a call, and
`CallReader` reads calls back out of the stream.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from fastchat.engines.base import Message, ToolCallDelta
from fastchat.engines.grammars import CLOSE, OPEN
from fastchat.engines.text import StopStrings

_HEAD = re.compile(r'\{"name": "([^"]*)", "arguments": ')


def describe(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, role: str) -> list[Message]:
    """The messages with the functions described in the first one of `role`, or in a new one before them all."""
    lines = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    text = files(__package__).joinpath("tool_prompt.md").read_text("utf-8").replace("{functions}", lines).strip()
    if messages and messages[0]["role"] == role and isinstance(messages[0]["content"], str):
        first = {**messages[0], "content": f"{text}\n\n{messages[0]['content']}"}
        return [first, *messages[1:]]
    return [{"role": role, "content": text}, *messages]


def as_text(messages: Sequence[Message]) -> list[Message]:
    """Past calls and their results as plain messages, for a template that would drop them."""
    plain: list[Message] = []
    for message, before in zip(messages, [None, *messages], strict=False):
        if message["role"] == "tool":
            result = f"<tool_response>\n{message.get('content')}\n</tool_response>"
            if before is not None and before["role"] == "tool":  # many templates want the roles to alternate
                result = f"{plain.pop()['content']}\n{result}"
            plain.append({"role": "user", "content": result})
        elif calls := message.get("tool_calls"):
            said = [message["content"]] if message.get("content") else []
            plain.append({"role": "assistant", "content": "\n".join(said + [_call_text(call) for call in calls])})
        else:
            plain.append(message)
    return plain


def _call_text(call: Mapping[str, Any]) -> str:
    function = call["function"]
    return f'{OPEN}{{"name": "{function["name"]}", "arguments": {function["arguments"]}}}{CLOSE}'


class Read(NamedTuple):
    text: str
    calls: tuple[ToolCallDelta, ...]


class CallReader:
    """Splits a stream into text and calls.

    It relies on the grammar: between the marks stands exactly `{"name": "…", "arguments": {…}}`. The first call is
    passed on as it comes. Later ones only when they are complete, because a small model likes to repeat itself: a call
    that was made already is dropped, and `is_repeating` tells that nothing better will follow.
    """

    def __init__(self) -> None:
        self._mark = StopStrings([OPEN])
        self._head = ""  # of a call, until its name is complete
        self._call: _Call | None = None  # while its arguments are read
        self._done: list[tuple[str, str]] = []  # names and arguments
        self.is_repeating = False

    def push(self, text: str) -> Read:
        said, deltas = "", []
        while text and not self.is_repeating:
            if self._mark.found is None:
                before, text = self._mark.push(text), self._mark.rest
                said += before if not self._done else ""  # between calls stands only what the grammar put there
            elif self._call is None:
                text = self._read_head(text)
            else:
                part, text = self._call.end.split(text)
                deltas += self._read_arguments(self._call, part)
        return Read(said, tuple(deltas))

    def flush(self) -> str:
        """Text that was held back because it might have been the mark of a call."""
        return "" if self._done else self._mark.flush()

    def _read_head(self, text: str) -> str:
        self._head += text
        match = _HEAD.match(self._head)
        if match is None:
            return ""
        rest, self._head = self._head[match.end() :], ""
        self._call = _Call(match[1])
        return rest

    def _read_arguments(self, call: "_Call", part: str) -> list[ToolCallDelta]:
        number, is_new = len(self._done), call.arguments == ""
        call.arguments += part
        if call.end.is_past:
            self._call, self._mark = None, StopStrings([OPEN])
            self.is_repeating = (call.name, call.arguments) in self._done
            self._done.append((call.name, call.arguments))
        if number == 0:
            return [call.delta(0, part) if is_new else ToolCallDelta(0, arguments=part)]
        return [call.delta(number, call.arguments)] if call.end.is_past and not self.is_repeating else []


class _Call:
    def __init__(self, name: str) -> None:
        self.name = name
        self.arguments = ""
        self.end = _ObjectEnd()

    def delta(self, number: int, arguments: str) -> ToolCallDelta:
        return ToolCallDelta(number, f"call_{secrets.token_hex(12)}", self.name, arguments)


class _ObjectEnd:
    """Finds where a JSON object that comes in pieces ends."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.is_past = False

    def split(self, text: str) -> tuple[str, str]:
        """What belongs to the object, and what follows it."""
        for position, char in enumerate(text):
            self._step(char)
            if self._depth == 0:
                self.is_past = True
                return text[: position + 1], text[position + 1 :]
        return text, ""

    def _step(self, char: str) -> None:
        if self._in_string:
            self._in_string = self._escaped or char != '"'
            self._escaped = char == "\\" and not self._escaped
        elif char == '"':
            self._in_string = True
        else:
            self._depth += {"{": 1, "}": -1}.get(char, 0)
