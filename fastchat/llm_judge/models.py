"""The models a run can ask: those that somebody serves, and those that are loaded into this process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from fastchat.client.chat import ChatClient, ChatParameters
from fastchat.core.errors import UnknownModel
from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, JsonConstraint, Sampling
from fastchat.llm_judge.asking import Ask, Call, Reply


def served(client: ChatClient) -> Ask:
    """Any model of a fleet. Thoughts before an answer are no part of it."""

    async def ask(call: Call) -> Reply:
        said = await client.complete(call.model, call.messages, _parameters(call))
        usage = said.usage
        return Reply(
            said.text,
            usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None,
            said.finish_reason,
        )

    return ask


def _parameters(call: Call) -> ChatParameters:
    extra = dict(call.extra)
    if call.schema is not None:
        spec = {"name": "verdict", "schema": call.schema, "strict": True}
        extra["response_format"] = {"type": "json_schema", "json_schema": spec}
    return ChatParameters(temperature=call.temperature, max_tokens=call.max_tokens, seed=call.seed, extra=extra)


@dataclass(frozen=True, slots=True)
class _Loaded:
    engine: Engine
    slots: asyncio.Semaphore  # an engine has no queue of its own to speak of


class LocalModels:
    """Models by name, each with a way to load it. Whoever opens this closes it, and what was loaded with it."""

    def __init__(self, loaders: Mapping[str, Callable[[], Awaitable[Engine]]]) -> None:
        self._loaders = loaders
        self._loaded: dict[str, _Loaded] = {}
        self._open = AsyncExitStack()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._loaders)

    def must_load(self, model: str) -> bool:
        """It is one of these, and not in memory yet."""
        return model in self._loaders and model not in self._loaded

    async def load(self, model: str) -> None:
        """
        Raises:
            SetupError: it cannot be loaded.
        """
        engine = await self._loaders[model]()
        self._open.push_async_callback(engine.close)
        self._loaded[model] = _Loaded(engine, asyncio.Semaphore(engine.info.slots))

    def holds_to_schema(self, model: str) -> bool:
        """Known of what is loaded."""
        return model in self._loaded and _holds_to_schema(self._loaded[model].engine)

    async def ask(self, call: Call) -> Reply:
        """
        Raises:
            FastChatError: as the engine.
        """
        if call.model not in self._loaded:
            raise UnknownModel(call.model, list(self._loaded))
        loaded = self._loaded[call.model]
        async with loaded.slots:
            return await _generated(loaded.engine, call)

    async def close(self) -> None:
        await self._open.aclose()


async def _generated(engine: Engine, call: Call) -> Reply:
    request = GenerationRequest(
        ChatPrompt(call.messages),
        Sampling(max_tokens=call.max_tokens, temperature=call.temperature, seed=call.seed),
        constraint=JsonConstraint(call.schema) if call.schema is not None and _holds_to_schema(engine) else None,
        extra=call.extra,
    )
    text = []
    async with aclosing(engine.generate(request)) as deltas:
        async for delta in deltas:
            text.append(delta.text)
    usage = delta.usage
    return Reply(
        "".join(text),
        usage.prompt_tokens if usage else None,
        usage.completion_tokens if usage else None,
        delta.finish_reason,
    )


def _holds_to_schema(engine: Engine) -> bool:
    return "json_schema" in engine.info.features
