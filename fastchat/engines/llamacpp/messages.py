"""Messages as any template can take them, beyond what the worker has already made simple."""

import base64
import io
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
    return [_readable(part) for part in content]


def _readable(part: Mapping[str, Any]) -> Mapping[str, Any]:
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if url is None:
        return part
    if not str(url).startswith("data:"):
        # llama.cpp would fetch any other address itself, from inside the network this machine stands in.
        raise InvalidRequest("Images reach an engine as data: URLs.", param="messages")
    head, _, data = str(url).partition(";base64,")
    if head != "data:image/webp":
        return part
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_as_png(data)}"}}


def _as_png(webp: str) -> str:
    """The same picture in a format that llama.cpp's decoder reads."""
    try:
        from PIL import Image
    except ImportError:
        raise InvalidRequest(
            "WebP images need the package 'pillow' on the worker; send PNG or JPEG.", param="messages"
        ) from None
    png = io.BytesIO()
    try:
        Image.open(io.BytesIO(base64.b64decode(webp))).convert("RGBA").save(png, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError):
        raise InvalidRequest("An image is damaged or has too many pixels.", param="messages") from None
    return base64.b64encode(png.getvalue()).decode()
