"""Messages as any template can take them, beyond what the worker has already made simple."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import Message


def plain(messages: Sequence[Message]) -> list[Message]:
    """
    Raises:
        InvalidRequest: a picture is given by an address that is not its own content.
    """
    return [_plain(message) for message in messages]


def is_continued(messages: Sequence[Message]) -> bool:
    return bool(messages) and messages[-1]["role"] == "assistant"


def _plain(message: Message) -> Message:
    plainer = {**message, "content": _content(message.get("content"))}
    if message["role"] == "function":
        plainer["role"] = "tool"  # its name of today
    if calls := message.get("tool_calls"):
        plainer["tool_calls"] = [{"type": "function", **call} for call in calls]  # llama.cpp insists on the type
    return plainer


def _content(content: str | Sequence[Mapping[str, Any]] | None) -> Any:
    if content is None or isinstance(content, str):
        return content or ""  # templates join strings
    for part in content:
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, Mapping) else image
        if url is not None and not str(url).startswith("data:"):
            # llama.cpp would fetch any other address itself, from inside the network this machine stands in.
            raise InvalidRequest("Images reach an engine as data: URLs.", param="messages")
    return list(content)
