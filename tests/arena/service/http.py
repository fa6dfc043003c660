"""The arena's API on a real socket, and callers with cookies of their own: streaming cannot be seen without one."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from fastchat.access.addresses import TrustedProxies
from fastchat.access.visitors import Visitors, VoterCookies
from fastchat.arena.api import PREFIX, create_api
from fastchat.core.http import Edge
from fastchat.core.serving import Listener
from fastchat.protocol.openai import error_reply
from tests.arena.service.stage import KEY, Stage


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """A browser: it keeps cookies, and everything it was ever sent."""

    url: str
    session: aiohttp.ClientSession
    received: list[bytes] = field(default_factory=list)

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        async with self.session.request(method, self.url + PREFIX + path, json=body, **options) as response:
            content = await response.read()
            head = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
            self.received += [head.encode(), content]
            return Reply(response.status, dict(response.headers), content)

    async def start(self, mode: str = "battle", **fields: Any) -> str:
        reply = await self.call("POST", "/conversations", {"mode": mode, **fields})
        assert reply.status == 201, reply.body
        return str(reply.json["conversation_id"])

    async def ask(self, conversation_id: str, question: Any = "What is rain?") -> Reply:
        """The answer to it is the whole stream."""
        path = f"/conversations/{conversation_id}/turns"
        return await self.call("POST", path, {"question": question}, headers={"accept": "text/event-stream"})


def events(body: bytes) -> list[dict[str, Any]]:
    blocks = [block for block in body.decode().split("\n\n") if "data: " in block]
    return [json.loads(block.partition("data: ")[2]) for block in blocks]


def arena_app(stage: Stage, keep_alive_s: float) -> ASGIApp:
    app = FastAPI(openapi_url=None)
    app.include_router(create_api(stage.arena, Visitors(KEY).of, keep_alive_s=keep_alive_s))
    return Edge(VoterCookies(app, TrustedProxies()), error_reply)


@asynccontextmanager
async def serving(stage: Stage, *, keep_alive_s: float = 15.0, app: ASGIApp | None = None) -> AsyncIterator[str]:
    asgi = app or arena_app(stage, keep_alive_s)
    listener = Listener("127.0.0.1", 0)
    config = uvicorn.Config(asgi, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener.socket]))
    while not server.started:
        await asyncio.sleep(0.001)
    try:
        yield listener.url
    finally:
        server.should_exit = True
        await task
        listener.socket.close()


@asynccontextmanager
async def caller(url: str) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Caller(url, session)
