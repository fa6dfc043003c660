"""Messages as others write them, and as OpenAI does.

{"from": "human", "value": "Hi"}                                   ShareGPT
{"from": "function_call", "value": "{\\"name\\": …}"}                LLaMA-Factory's tools, with "observation"
{"role": "user", "content": "Hi"}                                  OpenAI
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastchat.data.readers.files import shown
from fastchat.data.records import Message

_CALL = "function_call"
ROLES: Mapping[str, str] = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bing", "bard", "bot", "model"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "observation", "function_response", "function"), "tool"),
    _CALL: "assistant",
}


class Misshapen(ValueError):
    """A record that is not what its format says; the reader adds where it stands."""


def as_messages(value: object, field: str) -> list[Message]:
    """
    Raises:
        Misshapen: this is no list of messages.
    """
    if not isinstance(value, list):
        raise Misshapen(f"`{field}` has to be a list of messages; found {shown(value)}")
    return [as_message(item, f"{field}[{at}]") for at, item in enumerate(value)]


def as_message(value: object, field: str) -> Message:
    """
    Raises:
        Misshapen: this is no message.
    """
    if not isinstance(value, Mapping):
        raise Misshapen(f"`{field}` has to be a message; found {shown(value)}")
    named, text = ("from", "value") if "from" in value else ("role", "content")
    if named not in value:
        raise Misshapen(f"`{field}` has neither `from` nor `role`; found {shown(value)}")
    role = ROLES.get(str(value[named]).lower())
    if role is None:
        raise Misshapen(f"`{field}.{named}` is {shown(value[named])}; known are {', '.join(ROLES)}")
    content = value.get(text)
    rest = {key: item for key, item in value.items() if key not in (named, text) and item is not None}
    if str(value[named]).lower() == _CALL:
        return {"role": role, "content": "", "tool_calls": _calls(content, field), **rest}
    if content is None and rest.get("tool_calls"):
        content = ""
    if not isinstance(content, str) and not _is_parts(content):
        raise Misshapen(f"`{field}.{text}` has to be a text; found {shown(content)}")
    return {"role": role, "content": content, **rest}


def as_tools(value: object) -> Sequence[Mapping[str, Any]]:
    """A list, or one that is written as JSON in a text.

    Raises:
        Misshapen: it is neither.
    """
    if isinstance(value, str):
        if not value.strip():
            return ()
        try:
            value = json.loads(value)
        except ValueError:
            raise Misshapen(f"`tools` is a text, but not JSON: {shown(value)}") from None
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, Mapping) for tool in value):
        raise Misshapen(f"`tools` has to be a list of objects; found {shown(value)}")
    return value


def _is_parts(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(part, Mapping) for part in content)


def _calls(value: object, field: str) -> list[Mapping[str, Any]]:
    try:
        calls = json.loads(value) if isinstance(value, str) else value
        return [_call(call) for call in (calls if isinstance(calls, list) else [calls])]
    except (ValueError, TypeError, KeyError):
        raise Misshapen(
            f'`{field}` is a {_CALL}, so its value has to be JSON with "name" and "arguments"; found {shown(value)}'
        ) from None


def _call(call: Any) -> Mapping[str, Any]:
    arguments = call["arguments"]
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"type": "function", "function": {"name": call["name"], "arguments": written}}
