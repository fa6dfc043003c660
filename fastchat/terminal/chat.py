"""The chat: reads a line, runs the command in it or asks the model, and shows what comes."""

import asyncio
import time
from contextlib import aclosing
from typing import Any

from fastchat.client.chat import ChatParameters
from fastchat.core.errors import FastChatError
from fastchat.terminal.answers import Answer
from fastchat.terminal.commands import called
from fastchat.terminal.conversation import Conversation
from fastchat.terminal.interrupts import Interrupted, on_interrupt
from fastchat.terminal.styles import Style
from fastchat.terminal.talkers import Talker


class Chat:
    """One person, one model at a time. Commands change its parts."""

    def __init__(
        self,
        talker: Talker,
        style: Style,
        conversation: Conversation,
        parameters: ChatParameters,
        *,
        debug_format: str | None = None,
    ) -> None:
        """`debug_format` asks for the details of each answer, and is what they call the prompt format."""
        self.talker = talker
        self.style = style
        self.conversation = conversation
        self.parameters = parameters
        self.images: list[str] = []  # that go with the next message
        self.last_answer: Answer | None = None
        self.is_over = False
        self.has_failed = False  # some command or question
        self._debug_format = debug_format

    async def run(self) -> None:
        """Until the user leaves or input ends."""
        self.style.welcome(self.talker.model)
        with on_interrupt(lambda: None):  # pressed once too often, just after an answer, it must not end the program
            while not self.is_over:
                line = await self._read()
                if line is None or (self.style.ends_at_empty_line and not line.strip()):
                    return
                if line.strip():
                    await self.take(line)

    async def take(self, line: str) -> None:
        """Do what a line asks for; a fault of it is told and nothing more."""
        try:
            command = called(line.strip(), self.style.command_prefixes)
            if command is not None:
                await command.run(self)
                return
        except FastChatError as error:
            self._complain(error)
            return
        self.conversation.ask(line, self.images)
        self.images.clear()
        await self.answer()

    async def answer(self, earlier: str = "") -> None:
        """Answer the last question.

        What was said stays, even where the user or a failure broke it off: /remove takes it away and /regen asks again.
        If nothing was said, the `earlier` answer comes back, or else the question is taken back.
        """
        messages = self.conversation.for_model()
        answer = self.last_answer = Answer(asked_at=time.monotonic())
        failure = await self._write(answer)
        answer.ended_at = time.monotonic()
        self.style.end(answer)
        if answer.text or earlier:
            self.conversation.add_answer(answer.text or earlier)
        else:
            self.conversation.remove_exchange()
        if answer.is_stopped and self.style.ends_at_ctrl_c:
            self.is_over = self.has_failed = True
        if failure is not None:
            self._complain(failure)
        elif self._debug_format is not None:
            self.style.say(str(await self._details(answer, messages)))

    async def _write(self, answer: Answer) -> FastChatError | None:
        """Write the answer until it ends, fails or is stopped by Ctrl-C."""
        self.style.begin()
        writing = asyncio.create_task(self._take_down(answer))
        try:
            with on_interrupt(writing.cancel):
                await asyncio.wait([writing])
        finally:
            writing.cancel()
        answer.is_stopped = writing.cancelled()
        failure = None if writing.cancelled() else writing.exception()
        if failure is not None and not isinstance(failure, FastChatError):
            raise failure
        return failure

    async def _take_down(self, answer: Answer) -> None:
        async with aclosing(self.talker.answer(self.conversation.for_model(), self.parameters)) as deltas:
            async for delta in deltas:
                answer.add(delta, time.monotonic())
                self.style.add(delta)

    async def _read(self) -> str | None:
        """The next line; None at the end, and when Ctrl-C is pressed twice."""
        try:
            return await self.style.read()
        except Interrupted:
            if self.style.ends_at_ctrl_c:
                return None
            self.style.say("Ctrl-C again, or Ctrl-D, leaves the chat.")
        try:
            return await self.style.read()
        except Interrupted:
            return None

    async def _details(self, answer: Answer, messages: list[Any]) -> dict[str, object]:
        """What FastChat's --debug prints, by its names."""
        seconds = (answer.ended_at or 0) - answer.asked_at
        tokens = answer.usage.completion_tokens if answer.usage else None
        return {
            "conv_template": self._debug_format,
            "prompt": await self.talker.prompt(messages),
            "outputs": answer.text,
            "speed (token/s)": round(tokens / seconds, 2) if tokens is not None and seconds > 0 else None,
        }

    def _complain(self, error: FastChatError) -> None:
        self.has_failed = True
        self.style.complain(error.message)
