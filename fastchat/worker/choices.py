"""Several answers at once: their deltas merged as they come, or each gathered whole."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fastchat.engines.base import Delta, FinishReason, TokenLogprob, Usage


class Piece(NamedTuple):
    choice: int
    delta: Delta


async def merge(answers: Sequence[AsyncGenerator[Delta, None]]) -> AsyncGenerator[Piece, None]:
    """Deltas of all answers in the order they come. Closing it closes them all; one that fails ends it."""
    if len(answers) == 1:
        try:
            async for delta in answers[0]:
                yield Piece(0, delta)
        finally:
            await answers[0].aclose()
        return
    pieces: asyncio.Queue[Piece | Exception | None] = asyncio.Queue(maxsize=len(answers))
    pumps = [asyncio.create_task(_pump(choice, answer, pieces)) for choice, answer in enumerate(answers)]
    try:
        unfinished = len(answers)
        while unfinished:
            piece = await pieces.get()
            if isinstance(piece, Exception):
                raise piece
            if piece is None:
                unfinished -= 1
            else:
                yield piece
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(
    choice: int, answer: AsyncGenerator[Delta, None], pieces: "asyncio.Queue[Piece | Exception | None]"
) -> None:
    try:
        async for delta in answer:
            await pieces.put(Piece(choice, delta))
        await pieces.put(None)
    except Exception as error:
        await pieces.put(error)
    finally:
        await answer.aclose()


@dataclass(slots=True)
class ToolCallText:
    id: str
    name: str
    arguments: str = ""


@dataclass(slots=True)
class WholeAnswer:
    """One answer, gathered from its deltas."""

    text: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCallText] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=lambda: Usage(0, 0))

    def add(self, delta: Delta) -> None:
        self.text += delta.text
        self.reasoning += delta.reasoning
        self.logprobs.extend(delta.logprobs)
        for call in delta.tool_calls:
            if call.index == len(self.tool_calls):
                self.tool_calls.append(ToolCallText(call.id or f"call_{call.index}", call.name or ""))
            self.tool_calls[call.index].arguments += call.arguments
        self.finish_reason = delta.finish_reason or self.finish_reason
        self.usage = delta.usage or self.usage

    @property
    def mean_logprob(self) -> float:
        """Per token, as `best_of` ranks answers; an empty answer is the worst."""
        if not self.logprobs:
            return float("-inf")
        return sum(token.logprob for token in self.logprobs) / len(self.logprobs)


async def gather(answers: Sequence[AsyncGenerator[Delta, None]]) -> list[WholeAnswer]:
    whole = [WholeAnswer() for _ in answers]
    async for piece in merge(answers):
        whole[piece.choice].add(piece.delta)
    return whole


def total_usage(answers: Iterable[Usage], *, choices_per_prompt: int) -> Usage:
    """Tokens of a whole request; a prompt counts once, however many answers it got."""
    usages = list(answers)
    prompts = usages[::choices_per_prompt]
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in prompts),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in prompts),
    )
