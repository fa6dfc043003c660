"""A chat whose person is a list of lines and whose terminal is a list of words."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from fastchat.client.chat import ChatDelta, ChatParameters, Message
from fastchat.core.errors import UnknownModel
from fastchat.terminal.answers import Answer
from fastchat.terminal.chat import Chat
from fastchat.terminal.conversation import Conversation, text_of
from fastchat.terminal.interrupts import Interrupted

CTRL_C = "\x03"


@dataclass
class ListStyle:
    lines: list[str]
    is_attended: bool = True
    ends_at_empty_line: bool = False
    ends_at_ctrl_c: bool = False
    command_prefixes: Sequence[str] = ("/", "!!")
    shown: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    is_multiline: bool = False

    def welcome(self, model: str) -> None:
        self.said.append(model)

    async def read(self) -> str | None:
        if not self.lines:
            return None
        line = self.lines.pop(0)
        if line == CTRL_C:
            raise Interrupted
        return line

    def begin(self) -> None: ...

    def add(self, delta: ChatDelta) -> None: ...

    def end(self, answer: Answer) -> None:
        self.answers.append(answer)

    def show(self, message: Message) -> None:
        self.shown.append(f"{message['role']}: {text_of(message)}")

    def say(self, text: str) -> None:
        self.said.append(text)

    def complain(self, text: str) -> None:
        self.complaints.append(text)

    def toggle_multiline(self) -> bool:
        self.is_multiline = not self.is_multiline
        return self.is_multiline


@dataclass
class NumberingTalker:
    """Answers with the number of the answer and notes what it was asked."""

    asked: list[list[Message]] = field(default_factory=list)
    parameters: list[ChatParameters] = field(default_factory=list)
    failure: Exception | None = None
    words: Sequence[str] | None = None  # said before the failure
    model: str = "one"
    models: Sequence[str] = ("one", "two")
    is_blind: bool = False

    def switch(self, model: str) -> None:
        if model not in self.models:
            raise UnknownModel(model, self.models)
        self.model = model

    async def answer(self, messages: Sequence[Message], parameters: ChatParameters) -> AsyncGenerator[ChatDelta, None]:
        self.asked.append(list(messages))
        self.parameters.append(parameters)
        for word in self.words if self.words is not None else [f"answer {len(self.asked)}"]:
            yield ChatDelta(text=word)
        if self.failure is not None:
            raise self.failure
        yield ChatDelta(finish_reason="stop")

    async def prompt(self, messages: Sequence[Message]) -> str | None:
        return f"<{len(messages)}>"


def chat_of(
    *lines: str, talker: NumberingTalker | None = None, **parts: object
) -> tuple[Chat, ListStyle, NumberingTalker]:
    style, talker = ListStyle(list(lines)), talker or NumberingTalker()
    conversation = Conversation(has_memory=bool(parts.pop("has_memory", True)))
    chat = Chat(talker, style, conversation, ChatParameters(), **parts)  # type: ignore[arg-type]
    return chat, style, talker


def said_in(chat: Chat) -> list[str]:
    """The conversation, a line a message."""
    return [f"{message['role']}: {text_of(message)}" for message in chat.conversation.messages]
