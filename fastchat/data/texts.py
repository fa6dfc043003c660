"""What is said in conversations, as text."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastchat.data.records import Conversation, Message

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_WORD = re.compile(r"\w+")
_NO_WORD = {code: " " for code in range(128) if not _WORD.match(chr(code))}
_LONGEST_WORDS = 12  # characters, on average; more means that words are not separated, as in Chinese


def text_of(message: Message) -> str:
    """Of a message in parts, the texts."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))


def with_text(message: Message, change: Callable[[str], str]) -> Message:
    """The same message if nothing changes."""
    content: Any = message["content"]
    if isinstance(content, str):
        changed: Any = change(content)
    else:
        changed = [
            {**part, "text": change(part["text"])} if isinstance(part.get("text"), str) else part for part in content
        ]
    return message if changed == content else {**message, "content": changed}


def texts(conversation: Conversation, *roles: str) -> list[str]:
    """Of messages of these roles, or of all."""
    return [text_of(message) for message in conversation.messages if not roles or message["role"] in roles]


def without_code(text: str) -> str:
    return _CODE.sub(" ", text) if "`" in text else text


def words_of(text: str) -> list[str]:
    """In lower case, without punctuation; characters where words are not separated."""
    text = text.lower()
    words = text.translate(_NO_WORD).split() if text.isascii() else _WORD.findall(text)  # the same, in half the time
    if words and sum(map(len, words)) > _LONGEST_WORDS * len(words):
        return list("".join(words))
    return words


def shingles(words: Sequence[str]) -> list[str]:
    """Three words each, as often as they are there."""
    return list(map(" ".join, zip(words, words[1:], words[2:], strict=False))) or list(words)


def excerpt(text: str, at: int = 0, length: int = 160) -> str:
    """Around a place, on one line."""
    start = max(0, at - length // 4)
    cut = " ".join(text[start : start + length].split())
    return f"{'…' if start else ''}{cut}{'…' if start + length < len(text) else ''}"


def rounds(messages: Iterable[Message]) -> list[list[Message]]:
    """A user's message and what is answered to it; what comes before the first stands with it."""
    found: list[list[Message]] = []
    for message in messages:
        if not found or (message["role"] == "user" and any(one["role"] == "user" for one in found[-1])):
            found.append([])
        found[-1].append(message)
    return found
