"""Conversations that tell a model who it is: `identity.toml`'s questions and answers, with its name in them."""

import tomllib
from collections.abc import Iterator
from importlib.resources import files

from fastchat.data.records import Conversation


def identity_conversations(name: str, organization: str) -> Iterator[Conversation]:
    """Every question of a topic with every answer to it."""
    topics = tomllib.loads((files(__package__) / "identity.toml").read_text("utf-8"))["topic"]
    number = 0
    for topic in topics:
        for question in topic["questions"]:
            for answer in topic["answers"]:
                said = answer.format(name=name, organization=organization)
                messages = [
                    {"role": "user", "content": question.format(name=name)},
                    {"role": "assistant", "content": said},
                ]
                yield Conversation(f"identity_{number}", messages, "identity")
                number += 1
