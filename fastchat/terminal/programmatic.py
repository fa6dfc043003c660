"""FastChat's protocol for a program at the other end of the pipes.

A message ends with a sentinel, so it may hold any lines. It is written back, and the answer follows:

    → How are you? __END_OF_A_MESSAGE_47582648__
    ← [!OP:USER]: How are you?
    ← [!OP:ASSISTANT]: I am well.
"""

from collections.abc import Sequence
from typing import TextIO

from fastchat.client.chat import ChatDelta, Message
from fastchat.terminal.answers import Answer
from fastchat.terminal.conversation import text_of
from fastchat.terminal.interrupts import on_interrupt
from fastchat.terminal.lines import InputStream
from fastchat.terminal.styles import ASSISTANT, USER

SENTINEL = " __END_OF_A_MESSAGE_47582648__\n"


class ProgrammaticStyle:
    is_attended = False
    ends_at_empty_line = True
    ends_at_ctrl_c = False  # the program may stop an answer by a signal
    command_prefixes: Sequence[str] = ("!!",)  # a program's message may well begin with a slash

    def __init__(self, source: InputStream, out: TextIO) -> None:
        self._source = source
        self._out = out

    def welcome(self, model: str) -> None: ...

    async def read(self) -> str | None:
        with on_interrupt(self._source.interrupt):
            text = await self._source.until(SENTINEL)
        if text is not None:
            self._write(f"[!OP:{USER}]: {text}\n")
        return text

    def begin(self) -> None:
        self._write(f"[!OP:{ASSISTANT}]: ")

    def add(self, delta: ChatDelta) -> None:
        self._write(delta.text)

    def end(self, answer: Answer) -> None:
        self._write("\n")

    def show(self, message: Message) -> None:
        self._write(f"[!OP:{USER if message['role'] == 'user' else ASSISTANT}]: {text_of(message)}\n")

    def say(self, text: str) -> None:
        self._write(f"{text}\n")

    def complain(self, text: str) -> None:
        self.say(f"error: {text}")

    def toggle_multiline(self) -> bool:
        return True

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
