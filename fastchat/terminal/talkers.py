"""Who answers: a model loaded into this process, or one that a server has."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from fastchat.client.chat import ChatClient, ChatDelta, ChatParameters, ChatToolCall, ChatUsage, Message
from fastchat.core.errors import UnknownModel
from fastchat.engines.base import ChatPrompt, Delta, Engine, GenerationRequest, Sampling


class Talker(Protocol):
    """One side of a conversation."""

    @property
    def model(self) -> str:
        """Who answers at the moment."""
        ...

    @property
    def models(self) -> Sequence[str]:
        """Who could."""
        ...

    @property
    def is_blind(self) -> bool:
        """It is known that the model takes no images."""
        ...

    def switch(self, model: str) -> None:
        """
        Raises:
            UnknownModel: there is none of this name.
        """
        ...

    def answer(self, messages: Sequence[Message], parameters: ChatParameters) -> AsyncGenerator[ChatDelta, None]:
        """The answer as it is written; closing it stops the work."""
        ...

    async def prompt(self, messages: Sequence[Message]) -> str | None:
        """The exact text the model gets; None where only the server knows."""
        ...


class EngineTalker:
    """A model in this process, under its own name or that of one of its adapters."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._adapter: str | None = None

    @property
    def model(self) -> str:
        return self._adapter or self._name

    @property
    def models(self) -> Sequence[str]:
        return [self._name, *self._engine.info.adapters]

    @property
    def is_blind(self) -> bool:
        return "vision" not in self._engine.info.features

    def switch(self, model: str) -> None:
        if model not in self.models:
            raise UnknownModel(model, self.models)
        self._adapter = None if model == self._name else model

    async def answer(self, messages: Sequence[Message], parameters: ChatParameters) -> AsyncGenerator[ChatDelta, None]:
        request = GenerationRequest(ChatPrompt(messages), _sampling(parameters), adapter=self._adapter)
        async with aclosing(self._engine.generate(request)) as deltas:
            async for delta in deltas:
                yield _chat_delta(delta)

    async def prompt(self, messages: Sequence[Message]) -> str | None:
        return await self._engine.render(ChatPrompt(messages))


class ServerTalker:
    """A model of a server, one of those it lists."""

    def __init__(self, client: ChatClient) -> None:
        self._client = client
        self.model = next(iter(client.models), "")

    @property
    def models(self) -> Sequence[str]:
        return self._client.models

    @property
    def is_blind(self) -> bool:
        return self._client.knows_lack_of("vision", self.model)

    def switch(self, model: str) -> None:
        if model not in self.models:
            raise UnknownModel(model, self.models)
        self.model = model

    def answer(self, messages: Sequence[Message], parameters: ChatParameters) -> AsyncGenerator[ChatDelta, None]:
        return self._client.stream(self.model, messages, parameters)

    async def prompt(self, messages: Sequence[Message]) -> str | None:
        return None


def _sampling(parameters: ChatParameters) -> Sampling:
    given = parameters.body()
    if given.get("top_k", 1) <= 0:  # the ways to write "all of them"
        del given["top_k"]
    return Sampling(**given)


def _chat_delta(delta: Delta) -> ChatDelta:
    calls = tuple(ChatToolCall(call.index, call.id, call.name, call.arguments) for call in delta.tool_calls)
    counted = delta.usage
    usage = ChatUsage(counted.prompt_tokens, counted.completion_tokens, counted.cached_tokens) if counted else None
    return ChatDelta(
        text=delta.text,
        reasoning=delta.reasoning,
        tool_calls=calls,
        finish_reason=delta.finish_reason,
        usage=usage,
    )
