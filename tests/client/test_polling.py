import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web

from fastchat.client.fleet import Fleet
from fastchat.client.polling import Polling


class Server:
    """An OpenAI server that lists what a test says."""

    def __init__(self) -> None:
        self.names: Sequence[str] = ("b", "a")
        self.status = 200
        self.body: object = None  # instead of the list
        self.keys: list[str | None] = []
        self.was_asked = asyncio.Event()

    async def models(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("authorization"))
        self.was_asked.set()
        listed = {"data": [{"id": name} for name in self.names]} if self.body is None else self.body
        return web.json_response(listed, status=self.status)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    served, app = Server(), web.Application()
    app.router.add_get("/v1/models", served.models)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield served, f"http://{host}:{port}"
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_its_models_are_in_the_fleet(
    server: tuple[Server, str], session: aiohttp.ClientSession, suffix: str
) -> None:
    fleet = Fleet()
    await Polling(fleet, session, server[1] + suffix, "sk-1").look()
    assert list(fleet.models) == ["a", "b"]
    assert server[0].keys == ["Bearer sk-1"]
    with fleet.pick("a") as slot:
        assert slot.endpoint.url == server[1]
        assert slot.endpoint.api_key == "sk-1"


async def test_a_model_that_leaves_is_known_but_not_alive(
    server: tuple[Server, str], session: aiohttp.ClientSession
) -> None:
    fleet = Fleet()
    polling = Polling(fleet, session, server[1])
    await polling.look()
    server[0].names = ()
    await polling.look()
    assert (list(fleet.models), fleet.has_heard_of("a")) == ([], True)


@pytest.mark.parametrize(
    ("status", "body"), [(500, {}), (401, {}), (200, {"data": None}), (200, {"data": [1]}), (200, [])]
)
async def test_what_is_known_stands_while_it_does_not_answer(
    server: tuple[Server, str],
    session: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: object,
) -> None:
    fleet = Fleet()
    polling = Polling(fleet, session, server[1])
    await polling.look()
    server[0].status, server[0].body = status, body
    with caplog.at_level(logging.WARNING):
        await polling.look()
        await polling.look()
    assert list(fleet.models) == ["a", "b"]
    assert caplog.text.count("going on with what is known") == 1


async def test_a_gateway_without_models_is_a_server_without_models(
    server: tuple[Server, str], session: aiohttp.ClientSession
) -> None:
    fleet = Fleet()
    polling = Polling(fleet, session, server[1])
    await polling.look()
    server[0].status, server[0].body = 503, {"error": {}}
    await polling.look()
    assert list(fleet.models) == []


async def test_nobody_there_is_no_end(session: aiohttp.ClientSession) -> None:
    fleet = Fleet()
    await Polling(fleet, session, "http://127.0.0.1:9").look()
    assert not fleet.is_informed


async def test_it_asks_again_and_again(server: tuple[Server, str], session: aiohttp.ClientSession) -> None:
    task = asyncio.create_task(Polling(Fleet(), session, server[1], every_s=0.001).run())
    for _ in range(3):
        await asyncio.wait_for(server[0].was_asked.wait(), 5)
        server[0].was_asked.clear()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
