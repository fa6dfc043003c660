"""The model's chat template, applied to a conversation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastchat.core.errors import FastChatError, InvalidRequest
from fastchat.engines.base import Message
from fastchat.prompts.rendering import render

_MARK = "~system~"


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    source: str
    bos: str
    eos: str

    def render(self, messages: Sequence[Message], variables: Mapping[str, Any]) -> str:
        """The prompt. A final assistant message is left open, so that it is continued.

        Raises:
            InvalidRequest: the template refuses the conversation.
            SetupError: the template is wrong.
        """
        plain = [_plain(message) for message in messages]
        begun = plain.pop()["content"] if plain and plain[-1]["role"] == "assistant" else ""
        names = {"bos_token": self.bos, "eos_token": self.eos, **variables}
        return render(self.source, plain, add_generation_prompt=True, variables=names) + begun

    def knows_system(self) -> bool:
        try:
            return _MARK in self.render([{"role": "system", "content": _MARK}, {"role": "user", "content": "a"}], {})
        except FastChatError:
            return False


def _plain(message: Message) -> dict[str, Any]:
    """With text as its content, which is all that every template takes."""
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        if any(part.get("type") not in ("text", "input_text") for part in content):
            raise InvalidRequest("This engine reads text only, no images or sounds.", param="messages")
        content = "".join(part.get("text") or "" for part in content)
    return {**message, "content": content or ""}
