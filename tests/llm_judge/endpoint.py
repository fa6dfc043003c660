"""A server on loopback that answers OpenAI's API as a test says, and remembers who asked what."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class Endpoint:
    """`say` makes the reply to a request; what it raises is the response. After `holds_after` of them it is silent."""

    def __init__(self, say: Callable[[Mapping[str, Any]], str], models: tuple[str, ...]) -> None:
        self._say = say
        self._models = models
        self.asked: Counter[str] = Counter()
        self.holds_after: int | None = None
        self.held = 0
        self.keys: set[str | None] = set()  # that callers have shown
        self.url = ""

    @property
    def calls(self) -> int:
        return self.asked.total()

    @property
    def answered(self) -> int:
        return self.calls - self.held

    async def list_models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in self._models]})

    async def complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.keys.add(request.headers.get("authorization"))
        self.asked[json.dumps(body, sort_keys=True)] += 1
        if self.holds_after is not None and self.calls > self.holds_after:
            self.held += 1
            await asyncio.Event().wait()
        text = self._say(body)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        return web.json_response({"choices": [choice], "usage": usage})


@asynccontextmanager
async def serving(endpoint: Endpoint) -> AsyncIterator[Endpoint]:
    app = web.Application()
    app.router.add_get("/v1/models", endpoint.list_models)
    app.router.add_post("/v1/chat/completions", endpoint.complete)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield endpoint
    finally:
        await runner.cleanup()
