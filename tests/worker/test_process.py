"""The end of a worker whose engine has died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from fastchat.core.errors import FastChatError
from fastchat.core.serving import Listener
from fastchat.engines.registry import EngineOptions
from fastchat.engines.scripted import load
from fastchat.worker import process
from fastchat.worker.models import HostedModels
from fastchat.worker.process import WorkerProcess

LEASE = {"ttl_s": 5, "announce_every_s": 0.01}


@asynccontextmanager
async def controller(calls: list[str]) -> AsyncIterator[str]:
    """Takes every announcement, and notes what it was asked."""

    async def answer(request: web.Request) -> web.Response:
        calls.append(request.method)
        return web.json_response(LEASE)

    app = web.Application()
    app.router.add_route("*", "/workers/{id}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_worker_whose_engine_died_signs_off_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCHAT_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(process, "HEALTH_EVERY_S", 0.01)
    engine = await load(EngineOptions("scripted"))
    listener = Listener("127.0.0.1", 0)
    worker = WorkerProcess(HostedModels.build([(["m"], engine, {})], 10), listener, listener.url, None)
    calls: list[str] = []
    async with controller(calls) as url:
        running = asyncio.create_task(worker.run(controller_url=url, token=None, body_limit=1000, drain_s=1))
        while not calls:
            await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(FastChatError, match="stopped working"):
            async with asyncio.timeout(20):
                await running
    assert calls[0] == "PUT"
    assert calls[-1] == "DELETE"
    assert calls.count("DELETE") == 1
