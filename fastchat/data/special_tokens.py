"""Text that looks like a model's own control tokens, broken by bars so that it is text: `</s>` becomes `<|/s|>`."""

from collections.abc import Sequence
from dataclasses import replace

from fastchat.data.records import Conversation
from fastchat.data.texts import with_text


def without_special_tokens(conversation: Conversation, special: Sequence[str]) -> Conversation:
    """As FastChat's `optional_replace`; the longest first, or a token would break another that it stands in."""

    def broken(text: str) -> str:
        for token in sorted(special, key=len, reverse=True):
            text = text.replace(token, _with_bars(token))
        return text

    messages = [with_text(message, broken) for message in conversation.messages]
    is_same = all(new is old for new, old in zip(messages, conversation.messages, strict=True))
    return conversation if is_same else replace(conversation, messages=messages)


def _with_bars(token: str) -> str:
    if len(token) < 2:
        return " "
    return f"{token[0]}|{token[1:-1]}|{token[-1]}" if len(token) > 2 else f"{token[0]}|{token[1]}"
