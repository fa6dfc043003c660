"""A conversation as its user sees it: exchanges that can be taken back, asked again, saved and loaded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from fastchat.client.chat import Message


@dataclass(slots=True)
class Conversation:
    """Messages in OpenAI's form, the user's and the model's in turn. The system message stands apart."""

    system: str = ""
    messages: list[Message] = field(default_factory=list)
    has_memory: bool = True  # without it each question stands alone

    def ask(self, text: str, images: Sequence[str] = ()) -> None:
        """Add a question. `images` are `data:` URLs."""
        if not self.has_memory:
            self.messages.clear()
        parts: list[Mapping[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in images]
        self.messages.append({"role": "user", "content": [*parts, {"type": "text", "text": text}] if parts else text})

    def add_answer(self, text: str) -> None:
        self.messages.append({"role": "assistant", "content": text})

    def take_back_answer(self) -> str | None:
        """Open the last question again; returns the answer it had. None if nothing was asked."""
        if not any(message["role"] == "user" for message in self.messages):
            return None
        answers = []
        while self.messages[-1]["role"] != "user":
            answers.append(text_of(self.messages.pop()))
        return "".join(reversed(answers))

    def remove_exchange(self) -> bool:
        """Forget the last question with its answer; False if there is none."""
        if self.take_back_answer() is None:
            return False
        self.messages.pop()
        return True

    def clear(self) -> None:
        self.messages.clear()

    def for_model(self) -> list[Message]:
        """What the model gets."""
        opening: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        return opening + self.messages


def text_of(message: Message) -> str:
    """What a message says; its images are named, not shown."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    parts = [cast(str, part.get("text") or "") or f"[{part.get('type')}]" for part in content]
    return " ".join(parts).replace("[image_url]", "[image]")
