"""The engine contract: what a worker asks of anything that generates text.

An engine owns the tokenizer, so it renders the prompt: messages go in, increments come out. The suite in
`tests/engines/test_contract.py` runs over every engine and states the contract in full; in short:

- a `Delta` is an increment, never the text so far, and holds neither half a character nor part of a stop string;
- the last delta carries `finish_reason` and `usage`, and only the last one does;
- closing the generator stops the work and frees its slot;
- only errors of `core/errors.py` leave.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
Feature: TypeAlias = Literal[
    "chat", "completions", "embeddings", "logprobs", "json_schema", "tools", "infill", "adapters", "vision"
]
Message: TypeAlias = Mapping[str, Any]  # one message of OpenAI's chat format, as the client sent it


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a worker tells others about the engine it runs."""

    engine: str
    context_length: int  # tokens one request may use, prompt and answer together
    slots: int  # requests decoded at the same time
    features: frozenset[Feature]
    adapters: tuple[str, ...] = ()  # names a request may put into `GenerationRequest.adapter`
    embedding_size: int | None = None


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A conversation, rendered by the model's own template. A final assistant message is continued, not answered."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()  # OpenAI function tools
    tool_choice: Literal["auto", "none", "required"] | str = "auto"  # any other string: the one function to call
    parallel_tool_calls: bool = True
    template_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """Raw text or token ids, continued as they stand. With `suffix` the gap between the two is filled."""

    text: str | Sequence[int]
    suffix: str | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. The defaults draw from the model's own distribution."""

    max_tokens: int | None = None  # None: until the context is full
    temperature: float = 1.0  # 0 is greedy
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True)
class JsonConstraint:
    """The answer must be JSON; with a schema (JSON Schema, any draft the engine reads) it must validate."""

    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class GrammarConstraint:
    """The answer must match a GBNF grammar."""

    grammar: str


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    prompt: ChatPrompt | TextPrompt
    sampling: Sampling = Sampling()
    constraint: JsonConstraint | GrammarConstraint | None = None
    top_logprobs: int | None = None  # None: no logprobs; 0: of the chosen token only; n: and of n alternatives
    adapter: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # fields of the request nobody else understood


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token with its natural-log probability and the most likely alternatives, best first."""

    token: str
    logprob: float
    bytes: tuple[int, ...]  # UTF-8 of the token; may be part of a character
    top: "tuple[TokenLogprob, ...]" = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """Part of a tool call: the first of an index brings id and name, later ones add to the arguments."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt, found in the prefix cache


@dataclass(frozen=True, slots=True)
class Delta:
    """One increment of an answer."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One L2-normalised row for each input, shape (inputs, embedding_size)."""

    rows: Sequence[Sequence[float]]
    prompt_tokens: int


class Engine(Protocol):
    """A model that is loaded. Built by `registry.load_engine`; `close` frees what it holds and may be called twice."""

    @property
    def info(self) -> EngineInfo: ...

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]: ...

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings: ...

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]: ...

    async def detokenize(self, tokens: Sequence[int]) -> str: ...

    async def render(self, prompt: ChatPrompt) -> str:
        """The exact text the model gets for a conversation."""
        ...

    async def is_healthy(self) -> bool:
        """False when the engine can no longer answer and its process should be replaced."""
        ...

    async def close(self) -> None: ...
