"""Rules on how a conversation is built: who speaks when, what is empty, what was cut short by an error."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from fastchat.data.cleaning.rules import Changed, Dropped
from fastchat.data.records import Conversation, Message
from fastchat.data.texts import excerpt, rounds, text_of

_LONGEST_ERROR = 400  # characters; what is longer talks about an error
_BEGINNING = 200  # of an answer, where a refusal stands


@dataclass(frozen=True, slots=True)
class Roles:
    """User and assistant take turns; a conversation begins with a user's message and ends with an answer."""

    name: str = "roles"

    def apply(self, conversation: Conversation) -> Changed | Dropped | None:
        messages = list(conversation.messages)
        system = [messages.pop(0)] if messages and messages[0]["role"] == "system" else []
        total = len(messages)
        while messages and messages[0]["role"] != "user":
            messages.pop(0)
        while messages and not _is_answer(messages[-1]):
            messages.pop()
        if not messages:
            return Dropped("nobody asks, or nobody answers")
        if wrong := _out_of_turn(messages):
            return Dropped("the same side speaks twice", excerpt(text_of(wrong)))
        if len(messages) == total:
            return None
        return Changed(replace(conversation, messages=[*system, *messages]), "an end without its other side cut off")


def _is_answer(message: Message) -> bool:
    return message["role"] == "assistant" and not message.get("tool_calls")


def _out_of_turn(messages: Sequence[Message]) -> Message | None:
    """With tools, an assistant calls, the tools answer, and the assistant goes on."""
    before = ""
    for message in messages:
        role = "call" if message.get("tool_calls") else message["role"]
        if before not in _BEFORE.get(role, ()):
            return message
        before = role
    return None


_BEFORE: Mapping[str, Sequence[str]] = {
    "user": ("", "assistant"),
    "assistant": ("user", "tool"),
    "call": ("user", "tool", "assistant", "call"),
    "tool": ("call", "tool"),
}


@dataclass(frozen=True, slots=True)
class Short:
    """A conversation ends before its first empty message; what is left has to say something."""

    min_chars: int = 16
    name: str = "short"

    def apply(self, conversation: Conversation) -> Changed | Dropped | None:
        kept: list[Message] = []
        for turn in rounds(conversation.messages):
            if any(_is_empty(message) for message in turn):
                break
            kept += turn
        said = [text_of(message) for message in kept if message["role"] != "system"]
        if not said:
            return Dropped("nothing is said")
        if sum(map(len, said)) < self.min_chars:
            return Dropped(f"less than {self.min_chars} characters", excerpt(" / ".join(said)))
        if len(kept) == len(conversation.messages):
            return None
        return Changed(replace(conversation, messages=kept), "cut off before an empty message")


def _is_empty(message: Message) -> bool:
    text = text_of(message).strip()
    if isinstance(message["content"], list) and message["content"]:
        return False  # an image says something
    return not message.get("tool_calls") and (not text or not text[0].isprintable())


@dataclass(frozen=True, slots=True)
class Errors:
    """An answer that is the server's own error ends the conversation before its question."""

    name: str = "errors"

    def apply(self, conversation: Conversation) -> Changed | Dropped | None:
        kept: list[Message] = []
        wrong = ""
        for turn in rounds(conversation.messages):
            wrong = next((text_of(one) for one in turn if one["role"] == "assistant" and _is_error(text_of(one))), "")
            if wrong:
                break
            kept += turn
        if not wrong:
            return None
        if not any(message["role"] == "assistant" for message in kept):
            return Dropped("the answer is an error", excerpt(wrong))
        return Changed(replace(conversation, messages=kept), "cut off before an error", excerpt(wrong))


@dataclass(frozen=True, slots=True)
class Refusals:
    """Who learns from refusals refuses more than who wrote them."""

    name: str = "refusals"

    def apply(self, conversation: Conversation) -> Dropped | None:
        for message in conversation.messages:
            if message["role"] == "assistant" and (found := _refuses(text_of(message))):
                return Dropped("an answer is refused", excerpt(found))
        return None


def _is_error(text: str) -> bool:
    return len(text) <= _LONGEST_ERROR and any(error.match(text) for error in _phrases("errors"))


def _refuses(text: str) -> str:
    start = text[:_BEGINNING].replace("’", "'")
    return start if any(phrase.match(start) for phrase in _phrases("refusals")) else ""


@cache
def _phrases(kind: str) -> tuple[re.Pattern[str], ...]:
    import tomllib

    text = (files(__package__) / "phrases.toml").read_text("utf-8")
    table: Mapping[str, Any] = tomllib.loads(text)  # ours
    return tuple(re.compile(rf"\W*(?:{phrase})", re.IGNORECASE) for phrase in table[kind])
