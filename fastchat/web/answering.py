"""Get one answer from the API and write it down as it arrives."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import openai
from openai.resources.chat import AsyncCompletions
from openai.types.chat import ChatCompletionChunk

from fastchat.web.failures import CUT_SHORT, UNREADABLE, explain
from fastchat.web.session import Answer, Ending, Message
from fastchat.web.settings import Pace, Parameters

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent for one answer."""

    model: str
    messages: Sequence[Message]
    parameters: Parameters

    def body(self) -> dict[str, Any]:  # Any: it becomes the keywords of an SDK call and the JSON of a command
        return {
            "model": self.model,
            "messages": list(self.messages),
            "temperature": self.parameters.temperature,
            "top_p": self.parameters.top_p,
            "max_tokens": self.parameters.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


async def write(
    completions: AsyncCompletions, question: Question, answer: Answer, pace: Pace
) -> AsyncGenerator[bool, None]:
    """Write `answer` until it ends; yield True when there is more to show, False as a sign of life.

    The reading is a task of its own, so that `answer.stop` ends the request this very moment, and not when the
    next token comes. It cannot be a task group: Gradio may close this iterator from another task than the one that
    opened it, which a group does not allow.
    """
    answer.begin(now=time.monotonic())
    news = asyncio.Event()
    reader = asyncio.create_task(_read(completions, question, answer, news.set))
    reader.add_done_callback(lambda _: news.set())
    answer.break_off = reader.cancel
    try:
        while not reader.done():
            has_news = await _within(pace.sign_of_life_s, news)
            news.clear()
            yield has_news
            await asyncio.wait([reader], timeout=pace.flush_s)
        yield True
    finally:
        reader.cancel()
        await asyncio.wait([reader])
        if answer.is_being_written:
            answer.end(Ending.STOPPED, now=time.monotonic())


async def _within(timeout_s: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False


async def _read(completions: AsyncCompletions, question: Question, answer: Answer, tell: Callable[[], None]) -> None:
    reason: str | None = None
    try:
        chunks = cast(openai.AsyncStream[ChatCompletionChunk], await completions.create(**question.body()))
        async with chunks:
            async for chunk in chunks:
                reason = _take_down(chunk, answer) or reason
                tell()
    except openai.APIError as error:
        answer.end(Ending.FAILED, now=time.monotonic(), failure=explain(error, question.model))
    except Exception:
        log.exception("an answer could not be read")
        answer.end(Ending.FAILED, now=time.monotonic(), failure=UNREADABLE)
    else:
        ending = _ENDINGS.get(reason, Ending.COMPLETE)
        answer.end(ending, now=time.monotonic(), failure=CUT_SHORT if ending is Ending.FAILED else "")


_ENDINGS = {None: Ending.FAILED, "length": Ending.CUT_OFF}


def _take_down(chunk: ChatCompletionChunk, answer: Answer) -> str | None:
    """Add what the chunk brings; returns the finish reason if it holds one."""
    if chunk.usage is not None:
        answer.completion_tokens = chunk.usage.completion_tokens
    if not chunk.choices:
        return None
    choice = chunk.choices[0]
    extra = choice.delta.model_extra or {}
    # Two names for the same thing: DeepSeek's, and the one vLLM has moved to.
    reasoning = extra.get("reasoning_content") or extra.get("reasoning") or ""
    answer.grow(text=choice.delta.content or "", reasoning=str(reasoning), now=time.monotonic())
    return choice.finish_reason
