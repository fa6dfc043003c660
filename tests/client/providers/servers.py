"""A fake provider and our gateway in front of it, both on loopback in the loop of the test."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import openai
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from fastchat.client.endpoint_file import EndpointEntry
from fastchat.core.serving import Listener
from fastchat.gateway.process import GatewayOptions
from tests.client.providers.dialects import JSON, Wire
from tests.client.providers.embedded_gateway import embedded_gateway
from tests.client.providers.scripts import Provider, Request

_EMBEDDING = re.compile(r"/embeddings$|mbedContents?$|:predict$")
MODEL = "A model"  # what clients call it; the provider says "m"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, **tls: str) -> AsyncIterator[str]:
    listener = Listener("127.0.0.1", 0)
    listener.socket.listen()
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        **tls,  # type: ignore[arg-type]
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener.socket]))
    try:
        yield listener.url.replace("http://", "https://") if tls else listener.url
    finally:
        server.should_exit = True
        await task
        listener.socket.close()


class FakeProvider:
    """Speaks one wire format and follows a script."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.state = Provider()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await _read(scope, receive)
        self.state.requests.append(request)
        script, wire = self.state.script, self.wire
        if script.refusal:
            await _whole(send, script.refusal.status, wire.refuse(script.refusal), script.refusal.headers)
            return
        if _EMBEDDING.search(request.path):
            await _whole(send, 200, json.dumps(wire.embed(request)).encode(), {})  # type: ignore[attr-defined]
            return
        content_type = wire.content_type(request).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type)]})
        for data in wire.begin(script, request):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        if script.then == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.state.client_left.set()
            return
        if script.then == "break":
            raise ConnectionResetError
        for data in wire.end(script, request):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _read(scope: Scope, receive: Receive) -> Request:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    return Request(scope["path"], headers, json.loads(body or b"{}"), scope["query_string"].decode())


async def _whole(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    named = {"content-type": JSON, "content-length": str(len(body)), **headers}
    fields = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class Hosted(NamedTuple):
    """What a test holds: the client of the gateway, and the provider behind it."""

    client: openai.AsyncOpenAI
    provider: Provider
    wire: Wire

    async def ask(self, **fields: Any) -> Any:
        messages = fields.pop("messages", [{"role": "user", "content": "Hello?"}])
        return await self.client.chat.completions.create(model=MODEL, messages=messages, **fields)


@asynccontextmanager
async def hosted(wire: Wire, *, idle_s: float = 20.0, **entry: Any) -> AsyncIterator[Hosted]:
    """A gateway that knows one model, which the fake provider serves."""
    fake = FakeProvider(wire)
    async with serving(fake) as url:
        given = {"model_name": "m", "api_base": url, **wire.entry, **entry}
        endpoint = EndpointEntry.model_validate(given, context={"environ": {}}).endpoint(MODEL)
        async with gateway_over(endpoint, idle_s=idle_s) as client:
            yield Hosted(client, fake.state, wire)


@asynccontextmanager
async def gateway_over(*endpoints: Any, idle_s: float = 20.0) -> AsyncIterator[openai.AsyncOpenAI]:
    options = GatewayOptions(
        controller_url="", token=None, web_url=None, body_limit=2**20, idle_s=idle_s, drain_s=1, endpoints=endpoints
    )
    async with (
        embedded_gateway(options) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client,
    ):
        yield client
