"""OpenAI's API where it needs a hand: Azure's addresses and keys, models that do not stream, models that know other
fields. Through the `openai` SDK; the answers are OpenAI's already and are not read where they need not be.
"""

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any, TypeAlias, TypeVar

import httpx2
import openai
from openai import AsyncAPIResponse

from fastchat.client.providers.base import Account
from fastchat.client.providers.errors import refusal, timed_out, unreachable
from fastchat.client.providers.reply import EVENTS, JSON, ProviderReply
from fastchat.client.providers.translator import CHAT, COMPLETIONS, EMBEDDINGS, no_such_path
from fastchat.protocol.openai import SSE_DONE, sse

Body: TypeAlias = dict[str, Any]  # Any: JSON
Response: TypeAlias = AbstractAsyncContextManager[AsyncAPIResponse[Any]]  # Any: what is never parsed
ClientT = TypeVar("ClientT", bound=openai.AsyncOpenAI)
_PATHS = (CHAT, COMPLETIONS, EMBEDDINGS)


def azure(account: Account) -> "OpenAISdk":
    client = openai.AsyncAzureOpenAI(
        azure_endpoint=account.url,
        api_key=account.api_key or "EMPTY",
        api_version=account.settings["api_version"],
        **_common(account),
    )
    return OpenAISdk(_alone(client), account, name="Azure")


def o1(account: Account) -> "OpenAISdk":
    return OpenAISdk(client_of(account), account, name="OpenAI", prepare=for_reasoning)


def no_stream(account: Account) -> "OpenAISdk":
    return OpenAISdk(client_of(account), account, name="OpenAI", streams=False)


def cohere(account: Account) -> "OpenAISdk":
    return OpenAISdk(client_of(account), account, name="Cohere", prepare=without_stream_options)


def client_of(account: Account) -> openai.AsyncOpenAI:
    return _alone(
        openai.AsyncOpenAI(
            base_url=account.url + account.api_path, api_key=account.api_key or "EMPTY", **_common(account)
        )
    )


def _alone(client: ClientT) -> ClientT:
    """Without what the SDK found in the environment, which may be for somebody else."""
    client._custom_headers = {}
    client.organization = client.project = None
    return client


def _common(account: Account) -> dict[str, Any]:  # Any: the SDK's keywords
    return {"max_retries": 0, "timeout": httpx2.Timeout(account.idle_s, connect=account.connect_s)}


def for_reasoning(body: Body) -> Body:
    """Reasoning models know `max_completion_tokens` and refuse to be told how to sample."""
    unknown = ("max_tokens", "temperature", "top_p", "presence_penalty", "frequency_penalty")
    kept = {name: value for name, value in body.items() if name not in unknown}
    if body.get("max_tokens") is not None:
        kept.setdefault("max_completion_tokens", body["max_tokens"])
    return kept


def without_stream_options(body: Body) -> Body:
    """Cohere's form of the API refuses the field."""
    return {name: value for name, value in body.items() if name != "stream_options"}


class OpenAISdk:
    """A `Translator` that passes bytes on."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        account: Account,
        *,
        name: str,
        streams: bool = True,
        prepare: Callable[[Body], Body] = lambda body: body,
    ) -> None:
        self._client = client
        self._account = account
        self._name = name
        self._streams = streams
        self._prepare = prepare

    def answer(self, path: str, body: bytes) -> ProviderReply:
        if path not in _PATHS:
            raise no_such_path(path)
        fields = json.loads(body)
        wants_stream = bool(fields.get("stream"))
        if path == CHAT:
            fields = self._prepare(fields)
        if wants_stream and path == CHAT and not self._streams:
            source = self._replay(fields)
        else:
            source = self._pass_on(path, fields)
        return ProviderReply(EVENTS if wants_stream else JSON, source, self._errors, self._account.idle_s)

    async def close(self) -> None:
        await self._client.close()

    async def _pass_on(self, path: str, fields: Body) -> AsyncGenerator[bytes, None]:
        async with self._request(path, fields) as response:
            async for data in response.iter_bytes():
                if data:
                    yield data

    def _request(self, path: str, fields: Body) -> Response:
        """The fields go as they are; of the arguments, those the SDK insists on are only placeholders."""
        raw, model = self._client.with_streaming_response, fields["model"]
        if path == CHAT:
            return raw.chat.completions.create(model=model, messages=[], extra_body=fields)
        if path == EMBEDDINGS:
            fields = {"encoding_format": "float", **fields}  # the SDK would ask for base64
            return raw.embeddings.create(model=model, input=[], extra_body=fields)
        return raw.completions.create(model=model, prompt="", extra_body=fields)

    async def _replay(self, fields: Body) -> AsyncGenerator[bytes, None]:
        wants_usage = bool((fields.pop("stream_options", None) or {}).get("include_usage"))
        whole = b"".join([data async for data in self._pass_on(CHAT, {**fields, "stream": False})])
        for chunk in as_chunks(json.loads(whole), with_usage=wants_usage):
            yield sse(chunk)
        yield SSE_DONE

    def _errors(self) -> AbstractContextManager[None]:
        return as_ours(self._name, self._account.api_key)


@contextmanager
def as_ours(name: str, key: str | None) -> Iterator[None]:
    """The SDK's errors as ours."""
    try:
        yield
    except openai.APIStatusError as error:
        told = error.body if isinstance(error.body, dict) else {}
        message = str(told.get("message") or error.message)
        raise refusal(name, error.status_code, message, error.response.headers, key=key) from error
    except (openai.APITimeoutError, httpx2.TimeoutException) as error:
        raise timed_out(name) from error
    except (openai.APIConnectionError, httpx2.TransportError) as error:
        raise unreachable(name) from error


def as_chunks(answer: Mapping[str, Any], *, with_usage: bool) -> Iterator[Body]:
    """A whole answer as the chunks of a stream: role, content, reason, usage."""
    head = {name: answer[name] for name in ("id", "created", "model") if name in answer}
    head["object"] = "chat.completion.chunk"
    for choice in answer["choices"]:
        message = dict(choice["message"])
        calls = [{**call, "index": number} for number, call in enumerate(message.pop("tool_calls", None) or ())]
        delta = message | ({"tool_calls": calls} if calls else {})
        index, logprobs = choice["index"], choice.get("logprobs")
        yield head | {"choices": [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}]}
        end = {"index": index, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
        yield head | {"choices": [end]}
    if with_usage:
        yield head | {"choices": [], "usage": answer.get("usage")}
