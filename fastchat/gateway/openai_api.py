"""OpenAI's routes: what names a model is sent to a worker as it came; the list of models is answered here."""

import json
import time
from collections.abc import Mapping
from hashlib import blake2b

import pydantic_core
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from fastchat.client.fleet import Fleet
from fastchat.client.pipe import Answer, Call, Pipe
from fastchat.core.errors import FastChatError, InvalidRequest, UpstreamError
from fastchat.core.http import Raw, header, read_body, while_connected
from fastchat.gateway.metrics import GatewayMetrics
from fastchat.protocol.openai import error_body, model_card, model_list, sse

FORWARDED = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/tokenize", "/detokenize")
_TRACE_HEADERS = (b"traceparent", b"tracestate")
_AFFINITY_CHARACTERS = 1024
_LONGEST_NAME = 256


class OpenAIApi:
    def __init__(self, fleet: Fleet, pipe: Pipe, metrics: GatewayMetrics, *, body_limit: int) -> None:
        self._fleet = fleet
        self._pipe = pipe
        self._metrics = metrics
        self._body_limit = body_limit
        self._created = int(time.time())

    def routes(self) -> list[BaseRoute]:
        return [
            *(Route(path, Raw(self.forward), methods=["POST"]) for path in FORWARDED),
            Route("/v1/engines/{model:path}/embeddings", Raw(self.forward_engine), methods=["POST"]),
            Route("/v1/models", self.list_models, methods=["GET"]),
            Route("/v1/models/{model:path}", self.show_model, methods=["GET"]),
        ]

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, self._body_limit)
        await self._forward(scope, receive, send, scope["path"], body, _fields(body))

    async def forward_engine(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The form old clients use for embeddings, with the model in the path."""
        fields = _fields(await read_body(scope, receive, self._body_limit))
        fields = {"model": scope["path_params"]["model"], **fields}
        await self._forward(scope, receive, send, "/v1/embeddings", json.dumps(fields).encode(), fields)

    async def _forward(
        self, scope: Scope, receive: Receive, send: Send, path: str, body: bytes, fields: Mapping[str, object]
    ) -> None:
        started = time.perf_counter()
        call = Call(path, _model(fields), body, fields, _headers(scope), _affinity(fields))
        status = 499  # the client left
        try:
            status = await while_connected(receive, self._answer(call, send, started))
        except FastChatError as error:
            status = error.status
            raise
        finally:
            label = call.model if self._fleet.has_heard_of(call.model) else ""
            self._metrics.requests(label, path, status).inc()
            self._metrics.duration(label).observe(time.perf_counter() - started)

    async def _answer(self, call: Call, send: Send, started: float) -> int:
        """Pipe the answer to the client; returns its status."""
        status = 0
        try:
            async with self._pipe.send(call) as answer:
                self._metrics.first_byte(call.model).observe(time.perf_counter() - started)
                self._metrics.answers(call.model, answer.endpoint_id, answer.status).inc()
                if answer.attempts > 1:
                    self._metrics.retries(call.model).inc(answer.attempts - 1)
                status = answer.status
                await send({"type": "http.response.start", "status": status, "headers": _reply_headers(answer)})
                if answer.stream is None:
                    await send({"type": "http.response.body", "body": answer.body})
                    return status
                async for events in answer.chunks():
                    await send({"type": "http.response.body", "body": events, "more_body": True})
        except UpstreamError as error:
            if not status:
                raise
            self._metrics.broken(call.model).inc()
            await send({"type": "http.response.body", "body": sse(error_body(error)), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return status

    async def list_models(self, _: Request) -> Response:
        return JSONResponse(model_list([self._card(name) for name in self._fleet.models]))

    async def show_model(self, request: Request) -> Response:
        return JSONResponse(self._card(request.path_params["model"]))

    def _card(self, name: str) -> dict[str, object]:
        model = self._fleet.describe(name)
        return model_card(name, created=self._created, context_length=model.context_length)


def _fields(body: bytes) -> dict[str, object]:
    try:
        fields = pydantic_core.from_json(body)
    except ValueError as error:
        raise InvalidRequest(f"The body is not valid JSON: {str(error)[:200]}") from None
    if not isinstance(fields, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return fields


def _model(fields: Mapping[str, object]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= _LONGEST_NAME:
        given = "is missing" if model is None else f"must be a string of 1 to {_LONGEST_NAME} characters"
        raise InvalidRequest(f"'model' {given}. GET /v1/models lists the models.", param="model")
    return model


def _headers(scope: Scope) -> dict[str, str]:
    headers = {"content-type": "application/json", "x-request-id": scope["request_id"]}
    for name in _TRACE_HEADERS:
        value = header(scope, name)
        if value is not None:
            headers[name.decode()] = value.decode("latin-1")
    return headers


def _affinity(fields: Mapping[str, object]) -> bytes | None:
    """What requests that share a prefix have in common: a key the client gives, else how the conversation begins."""
    beginning = fields.get("prompt_cache_key") or fields.get("messages") or fields.get("prompt")
    if beginning is None:
        return None
    items = _opening(beginning[:_AFFINITY_CHARACTERS]) if isinstance(beginning, list) else [beginning]
    # Each is cut by itself: a long system prompt must not hide which conversation it opens.
    opening = "\n".join(str(item)[:_AFFINITY_CHARACTERS] for item in items)
    return blake2b(opening.encode("utf-8", "replace"), digest_size=8).digest()


def _opening(messages: list[object]) -> list[object]:
    """Up to the first message that is not a system's: it stays the same however long the conversation gets."""
    for number, message in enumerate(messages):
        if isinstance(message, dict) and message.get("role") not in ("system", "developer"):
            return messages[: number + 1]
    return messages


def _reply_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"x-fastchat-worker", answer.endpoint_id.encode()))
    if answer.stream is None:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    else:
        headers.append((b"x-accel-buffering", b"no"))
    return headers
