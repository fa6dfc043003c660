"""Conversations that are being answered: who writes them, who follows, and when to stop.

A follower gets the state, then what is added to it. Each event is put into bytes once, however many follow.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import TypeAlias

from fastchat.arena import battles
from fastchat.arena.answering import Growth, Pace, Writing
from fastchat.arena.records import Conversation, Ending
from fastchat.arena.views import ConversationView, DeltaEvent, Event, StateEvent

log = logging.getLogger(__name__)

Look: TypeAlias = Callable[[Conversation], ConversationView]
Finish: TypeAlias = Callable[[Conversation], Awaitable[Conversation]]


class Published:
    """An event, and the same as it travels.

    Each knows the one behind it, and nobody else does: what all followers have seen is forgotten.
    """

    def __init__(self, number: int, event: Event) -> None:
        self.number = number
        self.event = event
        self.following: Published | None = None

    @cached_property
    def sse(self) -> bytes:
        data = self.event.model_dump_json()
        return f"id: {self.number}\nevent: {self.event.type}\ndata: {data}\n\n".encode("utf-8", "replace")


class LiveConversation:
    """One that is being answered."""

    def __init__(self, conversation: Conversation, writing: Writing, look: Look, grace_s: float) -> None:
        self._conversation = conversation
        self._writing = writing
        self._look = look
        self._grace_s = grace_s
        self._newest = Published(0, StateEvent(conversation=look(conversation)))
        self._news = asyncio.Event()
        self._end: Published | None = None
        self._followers = 0
        self._patience: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    @property
    def conversation_id(self) -> str:
        return self._conversation.conversation_id

    @property
    def conversation(self) -> Conversation:
        """As its followers have seen it.

        It is being answered until its answers are examined and kept: a vote before would be one past the moderators, on
        what may be lost.
        """
        answers = self._writing.as_shown()
        if all(answer.ending for answer in answers):
            answers = tuple(replace(answer, ending=None, error="") for answer in answers)
        return battles.answered(self._conversation, answers)

    def stop(self, ending: Ending = Ending.STOPPED) -> None:
        self._writing.stop(ending)

    @property
    def followers(self) -> int:
        return self._followers

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    async def ended(self) -> None:
        await self._ended.wait()

    async def write(self, finish: Finish) -> None:
        """Write to the end, and keep what was written; whoever follows is told only after it is kept."""
        self._lose_patience()
        kept: Conversation | None = None
        try:
            answers = await self._writing.run(self._show, self._side_ended)
            kept = await finish(battles.answered(self._conversation, answers))
        except Exception:
            log.exception("the answers of conversation %s were not kept", self._conversation.conversation_id)
        finally:
            # The store has a question without answers, which reads as interrupted.
            lost = battles.answered(self._conversation, battles.interrupted(self._conversation.turns[-1].answers))
            self._close(kept or lost)

    def _close(self, conversation: Conversation) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._end = Published(self._newest.number + 1, StateEvent(conversation=self._look(conversation)))
        self._tell()
        self._ended.set()

    async def follow(self) -> AsyncGenerator[Published, None]:
        self._followers += 1
        if self._patience is not None:
            self._patience.cancel()
        try:
            seen = self._newest
            yield Published(seen.number, StateEvent(conversation=self._look(self.conversation)))
            while self._end is None:
                news = self._news
                while seen.following is not None:
                    seen = seen.following
                    yield seen
                if self._end is None and seen.following is None:
                    await news.wait()
            yield self._end
        finally:
            self._followers -= 1
            if not self._followers and self._end is None:
                self._lose_patience()

    def _show(self, growth: Growth) -> None:
        self._publish(DeltaEvent(text=growth.text, reasoning=growth.reasoning))

    def _side_ended(self) -> None:
        """How it ended can be told at once, but not while a battle is blind: then both ends are told together."""
        if not self._conversation.is_blind:
            self._publish(StateEvent(conversation=self._look(self.conversation)))

    def _publish(self, event: Event) -> None:
        self._newest.following = Published(self._newest.number + 1, event)
        self._newest = self._newest.following
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _lose_patience(self) -> None:
        self._patience = asyncio.get_running_loop().call_later(self._grace_s, self.stop)


class Live:
    """All conversations that are being answered. Leaving the block ends and keeps them."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._conversations: dict[str, LiveConversation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "Live":
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.interrupt()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._pace.drain_s)
        for task in self._tasks:  # moderators and databases that hang
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def interrupt(self) -> None:
        for live in self.all():
            live.stop(Ending.INTERRUPTED)

    def __len__(self) -> int:
        return len(self._conversations)

    def flush_s(self) -> float:
        """How long to gather what is shown: the more conversations, the longer, or one process cannot keep up."""
        pace = self._pace
        return pace.flush_s if len(self) <= pace.busy_above else pace.busy_flush_s

    def get(self, conversation_id: str) -> LiveConversation | None:
        live = self._conversations.get(conversation_id)
        return None if live is None or live.has_ended else live

    def all(self) -> list[LiveConversation]:
        return list(self._conversations.values())

    def begin(self, conversation: Conversation, writing: Writing, look: Look, finish: Finish) -> LiveConversation:
        live = LiveConversation(conversation, writing, look, self._pace.grace_s)
        self._conversations[conversation.conversation_id] = live
        task = self._group.create_task(live.write(finish))
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._forget(live, task))
        return live

    def _forget(self, live: LiveConversation, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._conversations.get(live.conversation_id) is live:  # and not already the next turn
            del self._conversations[live.conversation_id]
