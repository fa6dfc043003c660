"""The models a run can ask: those that somebody serves, and those that are loaded into this process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastchat.client.chat import ChatClient, ChatDelta, ChatParameters
from fastchat.core.errors import UnknownModel, UnsupportedParameter
from fastchat.engines.base import ChatPrompt, Engine, GenerationRequest, JsonConstraint, Sampling
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.parameters import KnownFields


def served(client: ChatClient, known: KnownFields) -> Ask:
    """Any model of a fleet. Thoughts before an answer are no part of it."""

    async def complete(call: Call) -> ChatDelta:
        fields, wanted = known.of(call.model), body_of(call)
        while True:
            body = fields.of(wanted)
            try:
                return await client.complete(call.model, call.messages, ChatParameters(extra=body))
            except UnsupportedParameter as refusal:
                if not fields.learn(call.model, body, refusal):
                    raise

    async def ask(call: Call) -> Reply:
        said = await complete(call)
        usage = said.usage
        return Reply(
            said.text,
            usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None,
            said.finish_reason,
        )

    return ask


def body_of(call: Call) -> dict[str, Any]:
    """The fields of the request by OpenAI's names, without model and messages."""
    extra = dict(call.extra)
    if call.schema is not None:
        spec = {"name": "verdict", "schema": call.schema, "strict": True}
        extra["response_format"] = {"type": "json_schema", "json_schema": spec}
    return ChatParameters(temperature=call.temperature, max_tokens=call.max_tokens, seed=call.seed, extra=extra).body()


@dataclass(frozen=True, slots=True)
class _Loaded:
    engine: Engine
    slots: asyncio.Semaphore  # an engine has no queue of its own to speak of


# Servers of a model of this name, loaded from this place, for as long as the block is open; their addresses.
Start: TypeAlias = Callable[[str, str], AbstractAsyncContextManager[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Copies:
    """How models are started as servers, several of each. `add` makes them known to `ask`, which spreads calls."""

    places: Mapping[str, str]  # by model
    start: Start
    add: Callable[[str, Sequence[str]], Awaitable[None]]
    ask: Ask


class LocalModels:
    """Models by name, each with a way to load it. Whoever opens this closes it, and what was loaded with it.

    With `copies`, they are started as servers instead.
    """

    def __init__(self, loaders: Mapping[str, Callable[[], Awaitable[Engine]]], copies: Copies | None = None) -> None:
        self._loaders = loaders
        self._copies = copies
        self._addresses: dict[str, Sequence[str]] = {}  # of copies
        self._loaded: dict[str, _Loaded] = {}
        self._open = AsyncExitStack()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._loaders)

    def must_load(self, model: str) -> bool:
        """It is one of these, and not in memory yet."""
        return model in self._loaders and model not in self._loaded and model not in self._addresses

    async def load(self, model: str) -> None:
        """
        Raises:
            SetupError: it cannot be loaded.
        """
        if self._copies is not None:
            started = self._copies.start(model, self._copies.places[model])
            addresses = await self._open.enter_async_context(started)
            await self._copies.add(model, addresses)
            self._addresses[model] = addresses
            return
        engine = await self._loaders[model]()
        self._open.push_async_callback(engine.close)
        self._loaded[model] = _Loaded(engine, asyncio.Semaphore(engine.info.slots))

    def addresses(self, model: str) -> Sequence[str]:
        """An engine is as good as an address: calls to it are limited by themselves."""
        return self._addresses.get(model, (f"{model}, loaded here",))

    def engine(self, model: str) -> Engine:
        """Of one that is loaded: for what is no chat."""
        return self._loaded[model].engine

    def holds_to_schema(self, model: str) -> bool:
        """Known of what is loaded."""
        return model in self._loaded and _holds_to_schema(self._loaded[model].engine)

    async def ask(self, call: Call) -> Reply:
        """
        Raises:
            FastChatError: as the engine.
        """
        if self._copies is not None and call.model in self._addresses:
            return await self._copies.ask(call)
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
        Sampling(
            max_tokens=call.max_tokens,
            temperature=call.temperature,
            seed=call.seed,
            stop=tuple(call.extra.get("stop", ())),
        ),
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
