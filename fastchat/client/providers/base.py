"""What a translator is made of: the account it speaks for, the pieces of its answers, what it must do."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, Protocol, TypeAlias

from fastchat.core.errors import InvalidRequest
from fastchat.protocol.openai import ChatRequest, EmbeddingRequest, SamplingFields

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class Account:
    """With whom a translator speaks, and as whom."""

    api_type: str
    url: str
    api_path: str
    api_key: str | None = field(repr=False)
    settings: Mapping[str, str]
    connect_s: float
    idle_s: float  # seconds of silence after which an answer is given up


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt
    reasoning_tokens: int = 0  # of the completion

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class ToolCallPiece:
    """The first piece of a call has id and name; `arguments` are increments of JSON text."""

    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # further fields of the call, to be sent back with it


@dataclass(frozen=True, slots=True)
class Piece:
    """One increment of an answer. Some piece has the finish reason; the last usage is that of the whole answer."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallPiece, ...] = ()
    logprobs: tuple[Mapping[str, Any], ...] = ()  # entries of OpenAI's `logprobs.content`
    extra: Mapping[str, Any] = field(default_factory=dict)  # further fields of the message, to be sent back with it
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    rows: Sequence[Sequence[float]]
    prompt_tokens: int


class Dialect(Protocol):
    """One provider's API."""

    def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        """One answer. Closing the generator ends the provider's stream."""
        ...

    async def embed(self, request: EmbeddingRequest) -> Embeddings: ...

    def errors(self) -> AbstractContextManager[None]:
        """Turns the SDK's errors into ours."""
        ...

    async def close(self) -> None: ...


_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "min_p": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "ignore_eos": (False,),
    "logit_bias": ({},),
    "stop_token_ids": ([],),
}


def refuse(request: SamplingFields, provider: str, *fields: str) -> None:
    """Refuse what this provider cannot do; a value that asks for nothing is let through.

    Raises:
        InvalidRequest: names the field.
    """
    for name in fields:
        value = getattr(request, name, None)
        if value is not None and value not in _NEUTRAL.get(name, ()):
            raise InvalidRequest(f"{provider} has no {name!r}. Leave the field out.", param=name)


def no_embeddings(provider: str) -> NoReturn:
    raise InvalidRequest(f"{provider} has no embeddings that we translate. Send it conversations.", param="model")


def stop_strings(request: SamplingFields) -> list[str]:
    if request.stop is None:
        return []
    return [request.stop] if isinstance(request.stop, str) else list(request.stop)
