"""Asking an engine in one line."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastchat.engines.base import (
    ChatPrompt,
    Delta,
    Engine,
    GenerationRequest,
    JsonConstraint,
    Sampling,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

WEATHER: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"zone": {"enum": ["UTC", "CET"]}}, "required": ["zone"]},
    },
}


@dataclass(frozen=True)
class Answer:
    deltas: Sequence[Delta]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)

    @property
    def reasoning(self) -> str:
        return "".join(delta.reasoning for delta in self.deltas)

    @property
    def logprobs(self) -> list[TokenLogprob]:
        return [entry for delta in self.deltas for entry in delta.logprobs]

    @property
    def call_deltas(self) -> list[ToolCallDelta]:
        return [part for delta in self.deltas for part in delta.tool_calls]

    @property
    def calls(self) -> list[tuple[str, str]]:
        """Name and arguments of every call."""
        parts = self.call_deltas
        numbers = sorted({part.index for part in parts})
        return [
            (
                "".join(part.name or "" for part in parts if part.index == number),
                "".join(part.arguments for part in parts if part.index == number),
            )
            for number in numbers
        ]

    @property
    def finish_reason(self) -> str | None:
        return self.deltas[-1].finish_reason

    @property
    def usage(self) -> Usage:
        usage = self.deltas[-1].usage
        assert usage is not None
        return usage


async def ask(engine: Engine, request: GenerationRequest) -> Answer:
    async with aclosing(engine.generate(request)) as deltas:
        return Answer([delta async for delta in deltas])


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def chat(text: str, *, top_logprobs: int | None = None, **sampling: Any) -> GenerationRequest:
    """A greedy question of a few tokens, unless told otherwise."""
    settings = Sampling(**{"temperature": 0, "max_tokens": 24} | sampling)
    return GenerationRequest(ChatPrompt([user(text)]), settings, top_logprobs=top_logprobs)


def spoken(text: str, *, top_logprobs: int | None = None, **sampling: Any) -> GenerationRequest:
    """A request that every engine with JSON schemas answers with exactly `text`, in quotes."""
    return GenerationRequest(
        ChatPrompt([user("Say it.")]),
        Sampling(**{"temperature": 0, "max_tokens": 200} | sampling),
        constraint=JsonConstraint({"const": text}),
        top_logprobs=top_logprobs,
    )
