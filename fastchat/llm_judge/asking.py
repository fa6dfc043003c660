"""What is asked of a model, and what comes back: the only way in which this package reaches one."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Call:
    model: str
    messages: Sequence[Mapping[str, str]]  # role and content
    temperature: float = 0.0
    max_tokens: int = 1024
    seed: int | None = None
    schema: Mapping[str, Any] | None = None  # JSON schema of the answer, for models that can be held to one
    extra: Mapping[str, Any] = field(default_factory=dict)  # other fields of the request


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    prompt_tokens: int | None = None  # None: the server does not count
    completion_tokens: int | None = None
    finish_reason: str | None = None
    in_batch: bool = False  # which costs less at some providers


# Raises what `client.chat` raises: RequestError for what is refused, UpstreamError for what may be tried again.
Ask: TypeAlias = Callable[[Call], Awaitable[Reply]]
