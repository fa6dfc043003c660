"""Conversations in files.

Ours hold the model's name, the system message and OpenAI's messages, and can be read back with any model:

    {"model": "vicuna-7b", "system": "", "messages": [{"role": "user", "content": "Hi"}, …]}

FastChat's are read too: {"template_name": …, "system_message": …, "roles": ["USER", "ASSISTANT"],
"messages": [["USER", "Hi"], ["ASSISTANT", "Hello"]], "offset": 0}. The name of the template is not followed: the prompt
format belongs to the model that answers.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fastchat.core.errors import InvalidRequest
from fastchat.terminal.conversation import Conversation


class _SavedPart(BaseModel):
    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None


class _SavedMessage(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: str | list[_SavedPart]


class _Saved(BaseModel):
    model: str = ""
    system: str = ""
    messages: list[_SavedMessage]


class _SavedByFastChat(BaseModel):
    system_message: str = ""
    roles: tuple[str, str] = Field(strict=False)
    # The second of a pair is null for an answer that was still to come, and [text, images] with images.
    messages: list[tuple[str, str | list[Any] | None]] = Field(strict=False)


def file_of(name: str) -> Path:
    """Where a name points to: with `.json` when it has no dot."""
    path = _path(name)
    return path if "." in path.name or not path.name else path.with_name(f"{path.name}.json")


def _path(name: str) -> Path:
    return Path(os.path.expanduser(name))  # Path's own fails where nobody has that name


def save(conversation: Conversation, name: str, model: str) -> Path:
    """
    Raises:
        InvalidRequest: the file cannot be written, or is one of another kind.
    """
    path = file_of(name)
    _check_is_ours(path)
    fields = {"model": model, "system": conversation.system, "messages": conversation.messages}
    try:
        text = json.dumps(fields, ensure_ascii=False, indent=2) + "\n"
        path.write_text(text, encoding="utf-8", errors="replace")  # a model may send half a character
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from None
    return path


def _check_is_ours(path: Path) -> None:
    """A conversation may be saved again, an empty file filled; any other is worth more than what was typed in haste."""
    if not path.is_file() or not path.stat().st_size:
        return
    try:
        load(str(path))
    except InvalidRequest:
        raise InvalidRequest(f"{path} is there already and holds no conversation. Choose another name.") from None


def load(name: str) -> tuple[Path, Conversation]:
    """
    Raises:
        InvalidRequest: the file cannot be read, or is in neither form.
    """
    exact = _path(name)
    path = exact if exact.is_file() else file_of(name)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return path, _conversation(fields)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, RecursionError):
        raise InvalidRequest(
            f"{path} holds no conversation. /save writes one, as JSON with a list 'messages'; FastChat's files do too."
        ) from None


def _conversation(fields: Mapping[str, Any]) -> Conversation:
    if "roles" in fields:
        theirs = _SavedByFastChat.model_validate(fields)
        said = [(role == theirs.roles[0], _text(content)) for role, content in theirs.messages]
        messages = [{"role": "user" if is_user else "assistant", "content": text} for is_user, text in said if text]
        return Conversation(theirs.system_message, _answered(messages))
    ours = _Saved.model_validate(fields)
    messages = [message.model_dump(exclude_unset=True) for message in ours.messages]
    leading = [message["content"] for message in messages if message["role"] == "system"]
    rest = [message for message in messages if message["role"] != "system"]
    return Conversation(ours.system or "\n".join(map(str, leading)), _answered(rest))


def _text(content: str | list[Any] | None) -> str:
    return str(content[0] or "") if isinstance(content, list) and content else str(content or "")


def _answered(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without a last question that nobody answered: the next one would follow it directly."""
    kept = list(messages)
    while kept and kept[-1]["role"] == "user":
        kept.pop()
    return kept
