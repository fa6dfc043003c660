"""A server that speaks OpenAI's `/v1/moderations` on loopback. It flags a word, and can fail in many ways."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
FLAGGED_WORD = "zounds"
FLAGGED_IMAGE = "data:image/png;base64,AAAA"

Failure = Callable[[web.Request], web.StreamResponse]


def result(is_flagged: bool, score: float = 0.9) -> dict[str, Any]:
    return {
        "flagged": is_flagged,
        "categories": {name: is_flagged and name == "violence" for name in CATEGORIES},
        "category_scores": {name: score if is_flagged and name == "violence" else 0.01 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


@dataclass
class Endpoint:
    url: str = ""
    failures: list[Failure] = field(default_factory=list)  # the first requests are answered so
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self.keys.append(request.headers.get("authorization"))
        if self.failures:
            return self.failures.pop(0)(request)
        given = self.bodies[-1]["input"]
        if isinstance(given, str) or isinstance(given[0], dict):  # one text, or parts that are judged together
            given = [given]
        results = [result(FLAGGED_WORD in str(each) or FLAGGED_IMAGE in str(each)) for each in given]
        return web.json_response({"id": "modr-1", "model": "omni-moderation-latest", "results": results})


@asynccontextmanager
async def endpoint(*failures: Failure) -> AsyncIterator[Endpoint]:
    fake = Endpoint(failures=list(failures))
    app = web.Application()
    app.router.add_post("/v1/moderations", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield fake
    finally:
        await runner.cleanup()
