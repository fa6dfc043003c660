"""What the scripted engine reads out of a prompt: the text it would see, what to echo, which function to call."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import ChatPrompt, GrammarConstraint, JsonConstraint, Message, TextPrompt
from fastchat.engines.scripted.instances import instance_of
from fastchat.engines.scripted.tokens import text_of


class Call(NamedTuple):
    """The one function call that is the whole answer."""

    name: str
    arguments: str


def render(prompt: ChatPrompt) -> str:
    """A line a message. A final assistant message stays open, so that it is continued."""
    tools = [f"tools: {_compact(list(prompt.tools))}\n"] if prompt.tools and prompt.tool_choice != "none" else []
    lines = [f"{message['role']}: {_content(message)}\n" for message in prompt.messages]
    text = "".join(tools + lines)
    return text[:-1] if _continued(prompt) is not None else f"{text}assistant: "


def prompt_text(prompt: ChatPrompt | TextPrompt) -> str:
    """Everything that counts as prompt."""
    if isinstance(prompt, ChatPrompt):
        return render(prompt)
    return _plain(prompt) + (prompt.suffix or "")


def echo(prompt: ChatPrompt | TextPrompt) -> str:
    """The last thing the user said; what an open assistant message already says of it is left out."""
    if isinstance(prompt, TextPrompt):
        return _plain(prompt)
    said = [_content(message) for message in prompt.messages if message["role"] == "user"]
    return (said or [""])[-1].removeprefix(_continued(prompt) or "")


def constrained(constraint: JsonConstraint | GrammarConstraint) -> str:
    """An answer that obeys the constraint."""
    if isinstance(constraint, GrammarConstraint):
        raise InvalidRequest("The scripted engine knows no grammars.", param="grammar")
    return _compact(instance_of({"type": "object"} if constraint.schema is None else constraint.schema))


def forced_call(prompt: ChatPrompt | TextPrompt) -> Call | None:
    """The call that `tool_choice` demands: of the function it names, else of the first one."""
    if isinstance(prompt, TextPrompt) or prompt.tool_choice in ("auto", "none"):
        return None
    functions = [tool["function"] for tool in prompt.tools]
    if prompt.tool_choice != "required":
        functions = [function for function in functions if function["name"] == prompt.tool_choice]
    if not functions:
        raise InvalidRequest(f"tool_choice {prompt.tool_choice!r} needs such a tool.", param="tool_choice")
    parameters = functions[0].get("parameters") or {"type": "object"}
    return Call(functions[0]["name"], _compact(instance_of(parameters, param="tools")))


def _continued(prompt: ChatPrompt) -> str | None:
    """The final assistant message, if there is one to continue."""
    last = prompt.messages[-1] if prompt.messages else {"role": ""}
    return _content(last) if last["role"] == "assistant" and not last.get("tool_calls") else None


def _content(message: Message) -> str:
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "".join(map(_part, content))
    calls = message.get("tool_calls")
    return text + _compact(calls) if calls else text


def _part(part: Mapping[str, Any]) -> str:
    """Text as it is; of an image its kind and size."""
    if part.get("type") != "image_url":
        return str(part.get("text") or "")
    head, _, data = str(part["image_url"]["url"]).partition(";base64,")
    return f"[{head.removeprefix('data:')}, {len(data) * 3 // 4 - data[-2:].count('=')} bytes]"


def _plain(prompt: TextPrompt) -> str:
    return prompt.text if isinstance(prompt.text, str) else text_of(prompt.text)


def _compact(value: Any | Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
