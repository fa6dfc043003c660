"""The answers of one turn, written side by side.

Both begin to show together: the faster waits for the slower's first token, up to a set time. From then on what has come
is handed on in one piece for both sides, so that neither order nor pace of events tells more than the text itself.
A side that fails or ends does not end the other.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeAlias

from fastchat.arena.failures import line_of
from fastchat.arena.prompting import printable, without_thought
from fastchat.arena.records import Answer, Ending, Side
from fastchat.client.chat import ChatClient, ChatDelta, ChatParameters, ChatUsage, Message
from fastchat.core.errors import FastChatError, WorkerFailed, WorkerTimeout

log = logging.getLogger(__name__)

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Pace:
    flush_s: float = 0.1  # shortest time between two pieces that are shown
    busy_flush_s: float = 0.2  # the same while more conversations than `busy_above` are being answered
    busy_above: int = 100
    answer_s: float = 600.0  # longest time for one answer
    grace_s: float = 30.0  # how long an answer goes on while nobody follows it
    drain_s: float = 10.0  # how long the end of the process waits for what has been written to be stored
    retention_s: float = 3600.0  # how often old conversations are looked for


@dataclass(frozen=True, slots=True)
class Commission:
    """One answer to be written: as it begins, and what to ask whom for it."""

    answer: Answer
    model: str
    messages: Sequence[Message]
    parameters: ChatParameters


@dataclass(frozen=True, slots=True)
class Growth:
    """What there is to show beyond what was shown."""

    text: dict[Side, str]
    reasoning: dict[Side, str]

    def __bool__(self) -> bool:
        return any(self.text.values()) or any(self.reasoning.values())


class _Words:
    """A text that grows faster than it is shown."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._waiting: list[str] = []

    def add(self, piece: str) -> None:
        self._waiting.append(piece)

    def show(self) -> str:
        if not self._waiting:
            return ""
        piece = printable("".join(self._waiting))
        self._waiting.clear()
        self._shown.append(piece)
        return piece

    @property
    def shown(self) -> str:
        return "".join(self._shown)

    @property
    def all(self) -> str:
        return self.shown + printable("".join(self._waiting))


class _Sheet:
    """One answer while it is written. Times are readings of one monotonic clock."""

    def __init__(self, commission: Commission, clock: Clock) -> None:
        self.commission = commission
        self.text, self.reasoning = _Words(), _Words()
        self.has_begun = asyncio.Event()  # there is something to show, or never will be
        self.reader: asyncio.Task[None] | None = None
        self._clock = clock
        self._asked_at = clock()
        self._first_at: float | None = None
        self._ended_at: float | None = None
        self._ending: Ending | None = None
        self._error = ""
        self._usage: ChatUsage | None = None

    @property
    def side(self) -> Side:
        return self.commission.answer.side

    @property
    def has_ended(self) -> bool:
        return self._ending is not None

    def take(self, delta: ChatDelta) -> None:
        if delta.text or delta.reasoning:
            if self._first_at is None:
                self._first_at = self._clock()
                self.has_begun.set()
            if delta.text:
                self.text.add(delta.text)
            if delta.reasoning:
                self.reasoning.add(delta.reasoning)
        if delta.usage is not None:
            self._usage = delta.usage
        if delta.finish_reason is not None:
            self.end(Ending.CUT_OFF if delta.finish_reason == "length" else Ending.COMPLETE)

    def end(self, ending: Ending, error: str = "") -> None:
        if not self.has_ended:
            self._ending, self._error, self._ended_at = ending, error, self._clock()
        self.has_begun.set()

    def drop(self, ending: Ending) -> None:
        """Ended, with nothing of what has come: who was faster is not to be seen."""
        self.end(ending)
        self.text, self.reasoning = _Words(), _Words()
        self._ending, self._error, self._first_at, self._usage = ending, "", None, None

    def as_shown(self) -> Answer:
        return replace(
            self.commission.answer,
            text=self.text.shown,
            reasoning=self.reasoning.shown,
            ending=self._ending,
            error=self._error,
        )

    def as_written(self) -> Answer:
        """All of it, with what was measured."""
        usage = self._usage
        written = replace(self.commission.answer, text=self.text.all, reasoning=self.reasoning.all)
        reasoning, text = without_thought(written)
        ending, error = self._ending, self._error
        if ending is not None and ending.is_whole and not (text or reasoning):
            ending, error = Ending.FAILED, line_of(WorkerFailed("The answer is empty."))
        return replace(
            written,
            text=text,
            reasoning=reasoning,
            ending=ending,
            error=error,
            first_token_s=None if self._first_at is None else self._first_at - self._asked_at,
            duration_s=None if self._ended_at is None else self._ended_at - self._asked_at,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
        )


class Writing:
    """All sides of one turn. `run` once; `stop` at any time."""

    def __init__(
        self,
        chat: ChatClient,
        commissions: Sequence[Commission],
        pace: Pace,
        *,
        first_token_wait_s: float,
        clock: Clock,
        flush_s: Callable[[], float] | None = None,  # in place of the pace's
    ) -> None:
        self._chat = chat
        self._pace = pace
        self._flush_s = flush_s or (lambda: pace.flush_s)
        self._first_token_wait_s = first_token_wait_s
        self._sheets = [_Sheet(commission, clock) for commission in commissions]
        self._holds_back = True  # nothing has been shown
        self._news = asyncio.Event()

    async def run(
        self, show: Callable[[Growth], None], side_ended: Callable[[], None] = lambda: None
    ) -> tuple[Answer, ...]:
        """Write until every side has ended.

        `show` is told what to show further, each time for all sides; `side_ended` that one is done before the last.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for sheet in self._sheets:
                    if not sheet.has_ended:
                        sheet.reader = group.create_task(self._read(sheet))
                await self._hold_back()
                await self._flow(show, side_ended)
        finally:
            self.stop(Ending.INTERRUPTED)
        return tuple(sheet.as_written() for sheet in self._sheets)

    def stop(self, ending: Ending) -> None:
        """End what has not ended; of what nobody has seen yet, nothing stays.

        Not left to the reading task: cancelled before its first step, it takes none.
        """
        for sheet in self._sheets:
            is_being_read = not sheet.has_ended
            if self._holds_back:
                sheet.drop(ending)
            sheet.end(ending)
            if is_being_read and sheet.reader is not None:
                sheet.reader.cancel()
        self._news.set()

    def as_shown(self) -> tuple[Answer, ...]:
        """For somebody who begins to follow."""
        return tuple(sheet.as_shown() for sheet in self._sheets)

    async def _hold_back(self) -> None:
        await self._news.wait()
        try:
            async with asyncio.timeout(self._first_token_wait_s):
                for sheet in self._sheets:
                    await sheet.has_begun.wait()
        except TimeoutError:
            pass
        self._holds_back = False

    async def _flow(self, show: Callable[[Growth], None], side_ended: Callable[[], None]) -> None:
        ended = 0
        while True:
            await self._news.wait()
            self._news.clear()
            if growth := self._growth():
                show(growth)
            before, ended = ended, sum(sheet.has_ended for sheet in self._sheets)
            if ended == len(self._sheets):
                return
            if ended > before:
                side_ended()
            await asyncio.sleep(self._flush_s())

    def _growth(self) -> Growth:
        return Growth(
            {sheet.side: sheet.text.show() for sheet in self._sheets},
            {sheet.side: sheet.reasoning.show() for sheet in self._sheets},
        )

    async def _read(self, sheet: _Sheet) -> None:
        order = sheet.commission
        try:
            async with (
                asyncio.timeout(self._pace.answer_s),
                aclosing(self._chat.stream(order.model, order.messages, order.parameters)) as deltas,
            ):
                async for delta in deltas:
                    sheet.take(delta)
                    self._news.set()
            if not sheet.has_ended:
                self._fail(sheet, WorkerFailed("The answer broke off before its end."))
        except FastChatError as error:
            self._fail(sheet, error)
        except TimeoutError:
            self._fail(sheet, WorkerTimeout(f"The answer took longer than {self._pace.answer_s:g} s."))
        except Exception as error:
            log.exception("an answer of %s could not be read", order.model)
            self._fail(sheet, FastChatError(f"{type(error).__name__}: {error}"))
        finally:
            self._news.set()

    def _fail(self, sheet: _Sheet, error: FastChatError) -> None:
        log.warning("an answer of %s failed: %s", sheet.commission.model, error.message)
        sheet.end(Ending.FAILED, line_of(error))
