"""Conversations as files: OpenAI's list of messages, or an object that has it under `messages`."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from fastchat.core.errors import SetupError
from fastchat.prompts.rendering import Message

STDIN = "-"
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")

SAMPLE: Sequence[Message] = (
    {"role": "user", "content": "Hello! What is your name?"},
    {"role": "assistant", "content": "I am a test."},
    {"role": "user", "content": "And what can you do?"},
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None


class _Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[_Part] | None = None


_MESSAGES = TypeAdapter(list[_Message])


def read_conversation(file: str) -> list[dict[str, Any]]:
    """
    Raises:
        SetupError: it cannot be read, or holds no messages.
    """
    where = "the input" if file == STDIN else file
    try:
        data = sys.stdin.buffer.read() if file == STDIN else Path(file).expanduser().read_bytes()
        value = json.loads(data)
    except OSError as error:
        raise SetupError(f"--messages {file}: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # also bytes that are no text, and lists in lists without end
        raise SetupError(f"--messages: {where} is not JSON: {error}.") from None
    messages = value.get("messages") if isinstance(value, Mapping) else value
    try:
        checked = _MESSAGES.validate_python(messages)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SetupError(
            f"--messages: {where} holds no OpenAI messages, a list of {{'role': …, 'content': …}}: "
            f"{place + ': ' if place else ''}{first['msg']}."
        ) from None
    for number, message in enumerate(checked):
        if message.role not in _ROLES:
            raise SetupError(
                f"--messages: message {number} of {where} has the role {message.role!r}. Allowed: {', '.join(_ROLES)}."
            )
    return [message.model_dump(exclude_unset=True) for message in checked]


def with_system(messages: Sequence[Message], system: str | None) -> list[Message]:
    """With this system message in place of any other; an empty one is not the same as none."""
    if system is None:
        return list(messages)
    others = [message for message in messages if message["role"] not in ("system", "developer")]
    return [{"role": "system", "content": system}, *others]
