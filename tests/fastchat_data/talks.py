"""Conversations for tests."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastchat.data.records import Conversation, Message


def talk(*said: str, id: str = "t", **extra: Any) -> Conversation:
    """User and assistant in turn."""
    roles = ("user", "assistant")
    messages: list[Message] = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]
    return Conversation(id, messages, extra=extra)


def write(file: Path, rows: Sequence[Any]) -> Path:
    file.write_text(json.dumps(rows), "utf-8")
    return file


def sharegpt(*said: str, id: str = "t", **extra: Any) -> dict[str, Any]:
    names = ("human", "gpt")
    return {
        "id": id,
        **extra,
        "conversations": [{"from": names[at % 2], "value": text} for at, text in enumerate(said)],
    }
