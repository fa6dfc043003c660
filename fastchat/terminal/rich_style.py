"""The style for people at a terminal: Markdown that appears as it is written, and a line to edit."""

import asyncio
import time
from collections.abc import Sequence

from rich.console import Console

from fastchat.client.chat import ChatDelta, Message
from fastchat.terminal.answers import Answer
from fastchat.terminal.conversation import text_of
from fastchat.terminal.editing import LineEditor
from fastchat.terminal.markdown import AnswerView, Lines, renderer
from fastchat.terminal.repainting import LivePart
from fastchat.terminal.styles import USER, harmless

FRAME_S = 0.05  # between two repaints: more often is not seen, only paid for
_LARGEST_SHARE = 0.2  # of the time for painting: a model in this process needs the rest


class RichStyle:
    is_attended = True
    ends_at_empty_line = False  # a key pressed once too often is no farewell
    ends_at_ctrl_c = False
    command_prefixes: Sequence[str] = ("/", "!!")

    def __init__(self, console: Console, editor: LineEditor) -> None:
        self._console = console
        self._editor = editor
        self._live = LivePart()
        self._view = self._new_view()
        self._next: asyncio.TimerHandle | None = None
        self._pause_s = FRAME_S

    def welcome(self, model: str) -> None:
        self.say(f"Chatting with {model}. /help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves.")

    async def read(self) -> str | None:
        self._console.print()
        return await self._editor.read(f"{USER}: ")

    def begin(self) -> None:
        self._console.print()
        self._view = self._new_view()
        self._paint([], ["…"])

    def add(self, delta: ChatDelta) -> None:
        for kind, text in (("thought", delta.reasoning), ("text", delta.text)):
            if text:
                self._view.push(kind, harmless(text))
        if self._next is None:
            self._next = asyncio.get_running_loop().call_later(self._pause_s, self._show)

    def end(self, answer: Answer) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._paint(self._view.finish(), [])
        self._console.print(f"\n{answer.summary()}", style="dim", highlight=False, markup=False)

    def show(self, message: Message) -> None:
        self._console.print()
        view = self._new_view()
        view.push("text", harmless(text_of(message)))
        if message["role"] == "user":
            self._console.print(f"{USER}:", style="bold green")
        self._paint(view.finish(), [])

    def say(self, text: str) -> None:
        self._console.print(harmless(text), style="dim", highlight=False, markup=False)

    def complain(self, text: str) -> None:
        self._console.print(harmless(f"error: {text}"), style="red", highlight=False, markup=False)

    def toggle_multiline(self) -> bool:
        return self._editor.toggle_multiline()

    def _new_view(self) -> AnswerView:
        return AnswerView({"thought": renderer(self._console, "dim italic"), "text": renderer(self._console)})

    def _show(self) -> None:
        self._next = None
        started = time.monotonic()
        finished, unfinished = self._view.frame()
        self._paint(finished, unfinished)
        # A long block is drawn anew each time as a whole.
        self._pause_s = max(FRAME_S, (time.monotonic() - started) / _LARGEST_SHARE)

    def _paint(self, finished: Lines, unfinished: Lines) -> None:
        self._console.file.write(self._live.repaint(finished, unfinished, self._console.height))
        self._console.file.flush()
