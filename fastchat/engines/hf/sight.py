"""Pictures in a conversation: from `data:` URLs to what the model's own processor makes of them."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import Message
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.prompts.rendering import render

_MOST_PIXELS = 64 * 2**20  # a file of some kilobytes may claim to be gigabytes of picture


class Seen(NamedTuple):
    """A prompt with pictures in it."""

    tokens: list[int]  # with as many placeholders as the pictures take
    inputs: Mapping[str, Any]  # what else the model's forward wants: pixel_values, sizes, masks


class Sight:
    """Reads messages for a model that sees."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._processor = loaded.processor
        self._template = loaded.chat_template or ""
        self._device = loaded.device
        self._dtype = loaded.model.dtype

    def content(self, message: Message) -> Any:
        """The content of a message as the template takes it: a list of parts, or text with the model's own mark."""
        content = message.get("content") or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(map(_part, content))
        if self._takes_parts:
            return parts
        mark = getattr(self._processor, "image_token", "<image>")
        return "\n".join(mark if part["type"] == "image" else part["text"] for part in parts)

    def read(self, text: str, messages: Sequence[Message]) -> Seen | None:
        """The rendered conversation with its pictures; None where there are none.

        Raises:
            InvalidRequest: a picture is damaged or too large, or the template did not place each of them.
        """
        pictures = [_picture(part["image_url"]["url"]) for part in image_parts(messages)]
        if not pictures:
            return None
        try:
            made = self._processor(text=[text], images=[pictures], return_tensors="pt", add_special_tokens=False)
        except (ValueError, IndexError) as error:
            raise InvalidRequest(f"The model cannot take these images: {str(error)[:200]}", param="messages") from None
        tokens = made.pop("input_ids")[0].tolist()
        made.pop("attention_mask", None)
        return Seen(tokens, {name: self._placed(value) for name, value in made.items()})

    def _placed(self, value: Any) -> Any:
        if not hasattr(value, "to"):
            return value
        return value.to(self._device, self._dtype) if value.is_floating_point() else value.to(self._device)

    @cached_property
    def _takes_parts(self) -> bool:
        """Whether the template goes through the parts of a content, or joins it as text."""
        mark = "~part~"
        said = [{"role": "user", "content": [{"type": "text", "text": mark}, {"type": "image"}]}]
        try:
            text = render(self._template, said, add_generation_prompt=True)
        except InvalidRequest:
            return False
        return mark in text and "'type'" not in text and '"type"' not in text  # else it printed the list itself


def image_parts(messages: Sequence[Message]) -> list[Mapping[str, Any]]:
    contents = [message.get("content") for message in messages]
    return [
        part for content in contents if isinstance(content, list) for part in content if part.get("type") == "image_url"
    ]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "image_url":
        return {"type": "image"}
    if kind in ("text", "input_text"):
        return {"type": "text", "text": part.get("text") or ""}
    raise InvalidRequest(f"This model reads text and images, no part of type {str(kind)[:40]!r}.", param="messages")


def _picture(url: str) -> Any:
    from PIL import Image

    head, _, data = url.partition(";base64,")
    if not head.startswith("data:"):
        raise InvalidRequest("Images reach an engine as data: URLs.", param="messages")
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        if math.prod(picture.size) > _MOST_PIXELS:
            raise InvalidRequest(
                f"An image of {picture.width} x {picture.height} pixels is too large; {_MOST_PIXELS} are allowed.",
                param="messages",
            )
        return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidRequest(f"An image is damaged: {str(error)[:100]}", param="messages") from None
