"""The plain style: prompts where somebody sees them, answers as they come, not one escape code.

Into a pipe go the answers and nothing else; what the chat itself has to say goes to standard error.
"""

from collections.abc import Sequence
from typing import TextIO

from fastchat.client.chat import ChatDelta, Message
from fastchat.terminal.answers import Answer
from fastchat.terminal.conversation import text_of
from fastchat.terminal.interrupts import Interrupted, on_interrupt
from fastchat.terminal.lines import InputStream
from fastchat.terminal.styles import ASSISTANT, USER, harmless


class SimpleStyle:
    """A message is a line. With `multiline` it is all up to the end of input, on a terminal Ctrl-D."""

    ends_at_empty_line = True
    command_prefixes: Sequence[str] = ("/", "!!")

    def __init__(
        self,
        source: InputStream,
        out: TextIO,
        aside: TextIO,
        *,
        multiline: bool = False,
        is_attended: bool = False,
        is_shown: bool = False,
    ) -> None:
        self.is_attended = is_attended
        self.ends_at_ctrl_c = not is_attended
        self._source = source
        self._out = out
        self._aside = out if is_attended and is_shown else aside
        self._is_shown = is_shown
        self._is_multiline = multiline
        self._is_thinking = False

    def welcome(self, model: str) -> None:
        if self.is_attended:
            self.say(f"Chatting with {model}. /help lists the commands.")

    async def read(self) -> str | None:
        with on_interrupt(self._source.interrupt):
            if self.is_attended:
                hint = " [Ctrl-D ends the message]" if self._is_multiline else ""
                self._write(f"{USER}{hint}: ", self._aside)
            try:
                text = await (self._source.everything() if self._is_multiline else self._source.line())
            except Interrupted:
                self._write("\n", self._aside)
                raise
        if text is None and self.is_attended:
            self._write("\n", self._aside)
        return text

    def begin(self) -> None:
        if self.is_attended:
            self._write(f"{ASSISTANT}: ", self._aside)

    def add(self, delta: ChatDelta) -> None:
        if delta.reasoning and self.is_attended:
            self._write(delta.reasoning if self._is_thinking else f"[{delta.reasoning}", self._aside)
            self._is_thinking = True
        if delta.text:
            self._end_thought()
            self._write(delta.text, self._out)

    def end(self, answer: Answer) -> None:
        self._end_thought()
        self._write("\n", self._out)
        if self.is_attended and (answer.is_stopped or answer.finish_reason == "length"):
            self.say(f"({answer.summary()})")

    def show(self, message: Message) -> None:
        if self.is_attended:
            self.say(f"{USER if message['role'] == 'user' else ASSISTANT}: {text_of(message)}")

    def say(self, text: str) -> None:
        self._write(f"{text}\n", self._aside)

    def complain(self, text: str) -> None:
        self.say(f"error: {text}")

    def toggle_multiline(self) -> bool:
        self._is_multiline = not self._is_multiline
        return self._is_multiline

    def _end_thought(self) -> None:
        if self._is_thinking:
            self._write("]\n", self._aside)
            self._is_thinking = False

    def _write(self, text: str, target: TextIO) -> None:
        # Whoever reads the answers from a pipe gets them as they are; the rest is for people.
        target.write(text if target is self._out and not self._is_shown else harmless(text))
        target.flush()
