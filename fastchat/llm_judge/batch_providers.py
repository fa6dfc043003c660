"""The batch APIs of OpenAI and Anthropic, each through the official SDK.

OpenAI's takes a file of requests, and is also spoken by servers of its API. One batch holds calls of one model.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from fastchat.client.endpoints import Endpoint
from fastchat.client.providers.base import Account
from fastchat.core.errors import EndpointRefused, MissingPackage, SetupError
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.batches import BatchService, Results
from fastchat.llm_judge.models import body_of
from fastchat.llm_judge.parameters import Fields
from fastchat.llm_judge.settings import Reach

if TYPE_CHECKING:
    from anthropic.types import Message
    from openai.types import Batch

_CONNECT_S, _IDLE_S = 10.0, 600.0


class BatchServices:
    """Those of the models of a reach, made when first asked for. `api_key` is for endpoints that bring none."""

    def __init__(self, reach: Reach, api_key: str | None) -> None:
        self._reach = reach
        self._api_key = api_key
        self._services: dict[str, BatchService | None] = {}

    def find(self, model: str) -> BatchService | None:
        """None: nobody bills it, or nothing that we speak has batches where it is served.

        Raises:
            MissingPackage: the provider's SDK is not installed.
        """
        if model not in self._services:
            endpoints = () if model in self._reach.free else self._reach.endpoints(model)
            fields = self._reach.known.of(model)
            self._services[model] = _service(endpoints[0], model, fields, self._api_key) if endpoints else None
        return self._services[model]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for service in filter(None, self._services.values()):
            await service.close()


def _service(endpoint: Endpoint, model: str, fields: Fields, api_key: str | None) -> BatchService | None:
    account = Account(
        endpoint.api_type,
        endpoint.url,
        endpoint.api_path,
        endpoint.api_key or api_key,
        endpoint.settings,
        connect_s=_CONNECT_S,
        idle_s=_IDLE_S,
    )
    name = endpoint.models[model].upstream_name or model
    if endpoint.api_type in ("openai", "openai_o1", "openai_no_stream"):
        _need("openai")
        return OpenAIBatches(account, name, fields)
    if endpoint.api_type == "anthropic":
        _need("anthropic")
        return AnthropicBatches(account, name)
    return None


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise MissingPackage(package, "hosted", "--batch")


@contextmanager
def _errors(as_ours: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    try:
        with as_ours():
            yield
    except EndpointRefused as error:
        raise EndpointRefused(
            f"{error.message} Has it batches, and this one? Without --batch, calls are sent one by one."
        ) from None


class OpenAIBatches:
    most_calls = 50_000
    most_bytes = 100_000_000  # half of what is allowed: in JSON a text may be longer

    def __init__(self, account: Account, model: str, fields: Fields) -> None:
        from fastchat.client.providers import openai_sdk

        self.address = account.url + account.api_path
        self._model = model
        self._fields = fields
        self._client = openai_sdk.client_of(account)
        host = urlsplit(account.url).hostname or account.url
        self._errors = partial(_errors, lambda: openai_sdk.as_ours(host, account.api_key))

    async def send(self, calls: Mapping[str, Call]) -> str:
        lines = b"".join(self._line(name, call) for name, call in calls.items())
        with self._errors():
            file = await self._client.files.create(file=("calls.jsonl", lines), purpose="batch")
            batch = await self._client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        return batch.id

    async def results(self, batch_id: str) -> Results | None:
        with self._errors():
            batch = await self._client.batches.retrieve(batch_id)
            if batch.status == "failed":
                raise SetupError(f"Batch {batch_id} was not taken: {_fault(batch)}")
            if batch.status not in ("completed", "expired", "cancelled"):
                return None
            replies, reasons = {}, {}
            for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
                for row in _rows((await self._client.files.content(file_id)).content):
                    found = _openai_reply(row)
                    if isinstance(found, Reply):
                        replies[row["custom_id"]] = found
                    else:
                        reasons[row["custom_id"]] = found
        return Results(replies, reasons)

    async def close(self) -> None:
        await self._client.close()

    def _line(self, name: str, call: Call) -> bytes:
        body = {"model": self._model, "messages": list(call.messages), **self._fields.of(body_of(call))}
        row = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return json.dumps(row, ensure_ascii=False, default=dict).encode("utf-8", "replace") + b"\n"


def _fault(batch: "Batch") -> str:
    told = batch.errors.data if batch.errors else None
    return next((error.message for error in told or () if error.message), "OpenAI does not say why.")


def _rows(data: bytes) -> Iterator[Mapping[str, Any]]:
    """The lines that can be read; what stood in others counts as failed."""
    for line in data.splitlines():
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and "custom_id" in row:
                yield row


def _openai_reply(row: Mapping[str, Any]) -> Reply | str:
    """What one line of a batch's results says, or why there is nothing. Any: JSON from the wire, read by `get`."""
    response = row.get("response") or {}
    body = response.get("body") or {}
    choices = body.get("choices")
    if response.get("status_code") != 200 or not choices:
        fault = row.get("error") or body.get("error") or {}
        return str(fault.get("message") or f"status {response.get('status_code')}")
    usage = body.get("usage") or {}
    return Reply(
        (choices[0].get("message") or {}).get("content") or "",
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        choices[0].get("finish_reason"),
        in_batch=True,
    )


class AnthropicBatches:
    most_calls = 100_000
    most_bytes = 128_000_000  # likewise

    def __init__(self, account: Account, model: str) -> None:
        from fastchat.client.providers import anthropic

        self.address = account.url
        self._model = model
        self._client = anthropic.client_of(account)
        self._errors = partial(_errors, lambda: anthropic.as_ours(account.api_key))

    async def send(self, calls: Mapping[str, Call]) -> str:
        requests: list[Any] = [{"custom_id": name, "params": self._params(call)} for name, call in calls.items()]
        with self._errors():
            return (await self._client.messages.batches.create(requests=requests)).id

    async def results(self, batch_id: str) -> Results | None:
        with self._errors():
            batch = await self._client.messages.batches.retrieve(batch_id)
            if batch.processing_status != "ended":
                return None
            replies, reasons = {}, {}
            async for row in await self._client.messages.batches.results(batch_id):
                if row.result.type == "succeeded":
                    replies[row.custom_id] = _anthropic_reply(row.result.message)
                elif row.result.type == "errored":
                    reasons[row.custom_id] = row.result.error.error.message
                else:
                    reasons[row.custom_id] = row.result.type
        return Results(replies, reasons)

    async def close(self) -> None:
        await self._client.close()

    def _params(self, call: Call) -> dict[str, Any]:
        from fastchat.client.providers.anthropic_requests import to_messages
        from fastchat.protocol.openai import ChatRequest

        body = {"model": self._model, "messages": list(call.messages), **body_of(call)}
        return {"model": self._model, **to_messages(ChatRequest.model_validate(body))}


def _anthropic_reply(message: "Message") -> Reply:
    from fastchat.client.providers.anthropic import FINISH

    usage = message.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Reply(
        "".join(block.text for block in message.content if block.type == "text"),
        prompt,
        usage.output_tokens,
        FINISH.get(message.stop_reason or "", "stop"),
        in_batch=True,
    )
