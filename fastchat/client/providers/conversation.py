"""OpenAI's list of messages as what the other APIs want: system text apart, and turns of user and assistant in turn.

Several messages of one side become one turn, and results of tools belong to the user's. No provider is named here.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from fastchat.core.errors import InvalidRequest
from fastchat.protocol.openai import (
    AllowedToolsChoice,
    ChatMessage,
    ChatRequest,
    ContentPart,
    FunctionDefinition,
    NamedToolChoice,
)

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w-]+=[^;,]*)*;base64,", re.ASCII)


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or a file, in the message itself or at an address."""

    media_type: str
    data: bytes = b""
    url: str | None = None
    name: str | None = None

    @property
    def base64(self) -> str:
        return base64.b64encode(self.data).decode()


@dataclass(frozen=True, slots=True)
class ToolUse:
    id: str
    name: str
    arguments: dict[str, Any]  # Any: JSON of the model's making
    extra: Mapping[str, Any] = field(default_factory=dict)  # what the provider wants back with it


@dataclass(frozen=True, slots=True)
class ToolResult:
    id: str
    name: str  # of the function, where the call is among the messages
    parts: Sequence["Text | Media"]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Thought:
    """A thought of the model, signed by its provider, that has to go back as it came."""

    block: Mapping[str, Any]


Part: TypeAlias = Text | Media | ToolUse | ToolResult | Thought


@dataclass(slots=True)
class Turn:
    role: Literal["user", "assistant"]
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Conversation:
    system: str
    turns: Sequence[Turn]

    @classmethod
    def read(cls, messages: Sequence[ChatMessage]) -> "Conversation":
        """
        Raises:
            InvalidRequest: a part of a message is of no use here.
        """
        system: list[str] = []
        turns: list[Turn] = []
        names: dict[str, str] = {}  # id of a tool call → its function
        for message in messages:
            if message.role in ("system", "developer"):
                system.append("".join(part.text for part in _content(message) if isinstance(part, Text)))
                continue
            role: Literal["user", "assistant"] = "assistant" if message.role == "assistant" else "user"
            parts = _parts(message, names)
            if turns and turns[-1].role == role:
                turns[-1].parts += parts
            elif parts:
                turns.append(Turn(role, parts))
        return cls("\n\n".join(filter(None, system)), turns)


def _parts(message: ChatMessage, names: dict[str, str]) -> list[Part]:
    if message.role in ("tool", "function"):
        call_id = message.tool_call_id or message.name or ""
        return [ToolResult(call_id, names.get(call_id) or message.name or call_id, _content(message))]
    thoughts = (message.model_extra or {}).get("thinking_blocks") or ()
    parts: list[Part] = [Thought(block) for block in thoughts if isinstance(block, dict)]
    parts += _content(message)
    for number, call in enumerate(message.tool_calls or ()):
        if call.function is None:
            raise InvalidRequest("Only calls of functions can be sent to this model.", param="messages")
        call_id = call.id or f"call_{number}"
        names[call_id] = call.function.name
        parts.append(ToolUse(call_id, call.function.name, _arguments(call.function.arguments), call.model_extra or {}))
    return parts


def _arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text or "{}")
    except json.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        raise InvalidRequest("The arguments of a tool call in the messages are no JSON object.", param="messages")
    return arguments


def _content(message: ChatMessage) -> list[Text | Media]:
    """Empty texts are left out: providers refuse them."""
    if message.content is None:
        return []
    if isinstance(message.content, str):
        return [Text(message.content)] if message.content else []
    return [part for given in message.content if (part := _part(given)) != Text("")]


def _part(part: ContentPart) -> Text | Media:
    fields = part.model_extra or {}
    if part.type in ("text", "input_text", "refusal"):
        return Text(part.text or str(fields.get("refusal") or ""))
    if part.type == "image_url":
        image = fields.get("image_url")
        return _media(image.get("url") if isinstance(image, dict) else image)
    if part.type == "file" and isinstance(fields.get("file"), dict):
        file = fields["file"]
        return _media(file.get("file_data"), name=file.get("filename"))
    raise InvalidRequest(f"Parts of type {part.type!r} cannot be sent to this model.", param="messages")


def _media(url: object, name: str | None = None) -> Media:
    if not isinstance(url, str):
        raise InvalidRequest("A picture needs 'url', a file 'file_data': a data: URL or an address.", param="messages")
    if url.startswith(("http://", "https://")):
        return Media(_guessed_type(url), url=url, name=name)
    head = _DATA_URL.match(url)
    if head is None:
        raise InvalidRequest("A picture is a data: URL in base64, or an http:// address.", param="messages")
    try:
        return Media(head[1] or "image/png", base64.b64decode(url[head.end() :], validate=True), name=name)
    except binascii.Error:
        raise InvalidRequest("The base64 of a picture is broken.", param="messages") from None


def _guessed_type(url: str) -> str:
    ending = url.partition("?")[0].rpartition(".")[2].lower()
    known = {"jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "pdf": "application/pdf"}
    return known.get(ending, "image/jpeg" if ending == "jpeg" else "image/png")


@dataclass(frozen=True, slots=True)
class Tools:
    """What may, must or must not be called."""

    functions: Sequence[FunctionDefinition]
    mode: Literal["none", "auto", "required"] = "auto"
    only: str | None = None  # this one must be called

    @classmethod
    def read(cls, request: ChatRequest) -> "Tools":
        functions = [tool.function for tool in request.tools or ()]
        choice = request.tool_choice
        if isinstance(choice, NamedToolChoice):
            return cls(functions, "required", choice.function.name)
        if isinstance(choice, AllowedToolsChoice):
            allowed = [function for function in functions if function.name in choice.names]
            return cls(allowed, choice.allowed_tools.mode)
        return cls(functions, choice or "auto")
