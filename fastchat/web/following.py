"""An answer while it is written: the arena's events as views of the whole conversation.

As often as the arena has more: it gathers what comes, and knows how many are being written to.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator

from fastchat.arena.records import Side
from fastchat.arena.views import AnswerView, ConversationView, Event, StateEvent
from fastchat.core.errors import FastChatError
from fastchat.web.settings import Pace

log = logging.getLogger(__name__)


class Progress:
    """A conversation and what was added since it was last sent whole."""

    def __init__(self) -> None:
        self.view: ConversationView | None = None
        self._text: dict[Side, list[str]] = {}
        self._reasoning: dict[Side, list[str]] = {}

    def take(self, event: Event) -> None:
        if isinstance(event, StateEvent):
            self.view, self._text, self._reasoning = event.conversation, {}, {}
            return
        for gathered, more in ((self._text, event.text), (self._reasoning, event.reasoning)):
            for side, piece in more.items():
                gathered.setdefault(side, []).append(piece)

    def brought_up_to_date(self) -> ConversationView | None:
        view = self.view
        if view is not None and (self._text or self._reasoning):
            last = view.turns[-1]
            turn = last.model_copy(update={"answers": tuple(map(self._grown, last.answers))})
            self.view = view = view.model_copy(update={"turns": (*view.turns[:-1], turn)})
            self._text, self._reasoning = {}, {}
        return view

    def _grown(self, answer: AnswerView) -> AnswerView:
        text, reasoning = self._text.get(answer.side), self._reasoning.get(answer.side)
        if not text and not reasoning:
            return answer
        grown = {"text": answer.text + "".join(text or ()), "reasoning": answer.reasoning + "".join(reasoning or ())}
        return answer.model_copy(update=grown)


async def follow(events: AsyncIterator[Event], pace: Pace) -> AsyncGenerator[ConversationView | None, None]:
    """The conversation each time there is more to show; the same again as a sign of life; None if nothing came yet.

    The reading is a task of its own, so that news can be waited for with a limit. It cannot be a task group: Gradio may
    close this iterator from another task than the one that opened it, which a group does not allow.
    """
    progress, news = Progress(), asyncio.Event()
    reader = asyncio.create_task(_read(events, progress, news))
    try:
        while not reader.done():
            if not news.is_set():  # the usual case needs no clock, and this runs ten times a second for every reader
                await _within(pace.sign_of_life_s, news)
            news.clear()
            yield progress.brought_up_to_date()
        yield progress.brought_up_to_date()
    finally:
        reader.cancel()
        await asyncio.wait([reader])


async def _within(timeout_s: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass


async def _read(events: AsyncIterator[Event], progress: Progress, news: asyncio.Event) -> None:
    try:
        async for event in events:
            progress.take(event)
            news.set()
    except FastChatError as error:  # the page asks once more how things stand, and says it then
        log.info("a conversation could not be followed: %s", error.message)
    except Exception:
        log.exception("a conversation could not be followed")
    finally:
        news.set()
