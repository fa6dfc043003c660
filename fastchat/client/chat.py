"""A chat with any model of a fleet, as typed increments: for whoever calls a model from this process.

It speaks OpenAI's `/v1/chat/completions` through a `Pipe`, so another endpoint is tried while nothing has come. It
keeps no conversation and retries nothing that has begun.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from fastchat.client.fleet import Fleet
from fastchat.client.pipe import Answer, Call, Pipe
from fastchat.core.errors import (
    AuthenticationFailed,
    ContextLengthExceeded,
    FastChatError,
    InvalidRequest,
    NoWorker,
    QueueFull,
    RequestTooLarge,
    UnknownModel,
    UnsupportedParameter,
    WorkerFailed,
    WorkerTimeout,
)

PATH = "/v1/chat/completions"
Message: TypeAlias = Mapping[str, Any]  # one message of OpenAI's chat format
_Json: TypeAlias = Mapping[str, Any]  # read from the wire, by `.get` only


@dataclass(frozen=True, slots=True)
class ChatParameters:
    """How an answer is sampled. What is None is not sent: the server's defaults hold."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # other fields of the request: tools, response_format, …

    def body(self) -> dict[str, Any]:
        """The fields of the request, by OpenAI's names."""
        named = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "extra"}
        return {name: value for name, value in named.items() if value is not None} | dict(self.extra)


@dataclass(frozen=True, slots=True)
class ChatToolCall:
    """Part of a tool call: the first of an index brings id and name, later ones add to the arguments."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class ChatUsage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """An increment of an answer. The last one carries `finish_reason`, and `usage` where the server counts."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ChatToolCall, ...] = ()
    finish_reason: str | None = None
    usage: ChatUsage | None = None


class ChatClient:
    """`api_key` is the caller's own, for servers that ask their callers for one; endpoints may have theirs besides."""

    def __init__(self, fleet: Fleet, pipe: Pipe, *, api_key: str | None = None) -> None:
        self._fleet = fleet
        self._pipe = pipe
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"

    @property
    def models(self) -> list[str]:
        return list(self._fleet.models)

    def knows_lack_of(self, feature: str, model: str) -> bool:
        """True only where whoever serves the model has said what it can do, and this is not among it."""
        described = self._fleet.models.get(model)
        return described is not None and bool(described.features) and feature not in described.features

    async def stream(
        self, model: str, messages: Sequence[Message], parameters: ChatParameters = ChatParameters()
    ) -> AsyncGenerator[ChatDelta, None]:
        """The answer as it is written. Closing the generator closes the connection, which stops the work behind it.

        Raises:
            RequestError: the request was refused.
            UpstreamError: nobody could answer, or the answer broke off.
        """
        options = {"stream": True, "stream_options": {"include_usage": True}}
        async with self._pipe.send(self._call(model, messages, options | parameters.body())) as answer:
            if answer.stream is None:  # refused, or a server that does not stream
                yield _whole(answer, model)
                return
            async for delta in _deltas(answer, model):
                yield delta

    async def complete(
        self, model: str, messages: Sequence[Message], parameters: ChatParameters = ChatParameters()
    ) -> ChatDelta:
        """The answer in one piece; unlike a stream it is asked for again elsewhere if a worker dies while it writes.

        Raises:
            RequestError, UpstreamError: as `stream`.
        """
        async with self._pipe.send(self._call(model, messages, parameters.body())) as answer:
            return _whole(answer, model)

    def _call(self, model: str, messages: Sequence[Message], options: _Json) -> Call:
        body = {"model": model, "messages": list(messages), **options}
        return Call(PATH, model, json.dumps(body).encode(), body, self._headers)


async def _deltas(answer: Answer, model: str) -> AsyncIterator[ChatDelta]:
    """Reason and usage come in chunks of their own at the end; they are put together into the last delta."""
    reason: str | None = None
    usage: ChatUsage | None = None
    async for chunk in _events(answer):
        if error := chunk.get("error"):
            raise _reported(0, error, model)
        usage = _usage(chunk.get("usage")) or usage
        for choice in chunk.get("choices") or ():
            reason = choice.get("finish_reason") or reason
            delta = _delta(choice.get("delta") or {})
            if delta != ChatDelta():
                yield delta
    if reason is None:
        raise WorkerFailed("The answer broke off before its end.")
    yield ChatDelta(finish_reason=reason, usage=usage)


async def _events(answer: Answer) -> AsyncIterator[_Json]:
    """The data of server-sent events, one JSON object each. Comments keep the connection alive and say nothing."""
    async for events in answer.chunks():
        for line in events.splitlines():
            data = line.removeprefix(b"data:").strip()
            if not line.startswith(b"data:") or data == b"[DONE]":
                continue
            yield _object(data)


def _whole(answer: Answer, model: str) -> ChatDelta:
    if answer.status != 200:
        raise _refusal(answer, model)
    choices = _object(answer.body).get("choices")
    if not choices:
        raise WorkerFailed("The server sent an answer without choices.")
    said = _delta(choices[0].get("message") or {})
    return ChatDelta(
        text=said.text,
        reasoning=said.reasoning,
        tool_calls=said.tool_calls,
        finish_reason=choices[0].get("finish_reason") or "stop",
        usage=_usage(_object(answer.body).get("usage")),
    )


def _object(data: bytes) -> _Json:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise WorkerFailed(f"The server sent something that is no answer: {data[:100].decode(errors='replace')!r}.")
    return value


def _delta(fields: _Json) -> ChatDelta:
    calls = fields.get("tool_calls") or ()
    return ChatDelta(
        text=fields.get("content") or "",
        # Two names for the same thing: DeepSeek's, and the one vLLM has moved to.
        reasoning=fields.get("reasoning") or fields.get("reasoning_content") or "",
        tool_calls=tuple(_tool_call(number, call) for number, call in enumerate(calls)),
    )


def _tool_call(number: int, call: _Json) -> ChatToolCall:
    function = call.get("function") or {}
    return ChatToolCall(
        index=call.get("index", number),  # only chunks count them
        id=call.get("id"),
        name=function.get("name"),
        arguments=function.get("arguments") or "",
    )


def _usage(fields: _Json | None) -> ChatUsage | None:
    if not fields:
        return None
    details = fields.get("prompt_tokens_details") or {}
    return ChatUsage(
        fields.get("prompt_tokens") or 0, fields.get("completion_tokens") or 0, details.get("cached_tokens") or 0
    )


_BY_CODE: Mapping[str, type[FastChatError]] = {
    kind.code: kind
    for kind in (ContextLengthExceeded, UnsupportedParameter, QueueFull, UnknownModel, NoWorker, WorkerTimeout)
    if kind.code is not None
} | {"unsupported_value": UnsupportedParameter, "worker_failed": WorkerFailed}
_BY_STATUS: Mapping[int, type[FastChatError]] = {
    401: AuthenticationFailed,
    403: AuthenticationFailed,
    404: UnknownModel,
    413: RequestTooLarge,
    429: QueueFull,
    503: NoWorker,
    504: WorkerTimeout,
}


def _refusal(answer: Answer, model: str) -> FastChatError:
    try:
        body = json.loads(answer.body)
    except ValueError:
        body = None
    said = body.get("error", body.get("message", body.get("detail"))) if isinstance(body, dict) else None
    error = _reported(answer.status, said or f"The server answered with status {answer.status}.", model)
    wait = answer.headers.get("retry-after", "")
    error.retry_after_s = int(wait) if wait.isdigit() else None
    return error


def _reported(status: int, said: object, model: str) -> FastChatError:
    """The error that an error object, or whatever stands for one, describes: by its code, else by the status."""
    error: _Json = said if isinstance(said, dict) else {"message": str(said)}
    message = str(error.get("message") or f"The model {model!r} failed without saying why.")
    kind = _BY_CODE.get(str(error.get("code"))) or _BY_STATUS.get(status)
    kind = kind or (InvalidRequest if 400 <= status < 500 else WorkerFailed)
    # Some kinds make up their message themselves; here it is the server's.
    made = kind.__new__(kind)
    FastChatError.__init__(made, message, param=error.get("param"))
    return made
