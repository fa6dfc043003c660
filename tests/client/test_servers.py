import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fastchat.client.servers import ask_server
from fastchat.core.errors import SetupError


async def server(status: int, body: object) -> TestServer:
    async def models(request: web.Request) -> web.Response:
        assert request.headers.get("authorization") == "Bearer key"
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/v1/models", models)
    running = TestServer(app)
    await running.start_server()
    return running


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_an_address_may_end_as_users_write_it(ending: str) -> None:
    running = await server(200, {"data": [{"id": "a", "max_model_len": 7}, {"id": "b"}]})
    url = f"http://127.0.0.1:{running.port}"
    async with aiohttp.ClientSession() as session, running:
        endpoint = await ask_server(session, f"{url}{ending}", "key")
    assert endpoint.url == url
    assert list(endpoint.models) == ["a", "b"]
    assert endpoint.models["a"].context_length == 7


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {}, "another API key"),
        (500, {}, "does not answer"),
        (200, {"hello": 1}, "no list of models"),
        (200, [1], "no list of models"),
        (200, {"data": [{"id": ""}]}, "no list of models"),
    ],
)
async def test_a_server_that_is_no_use_is_told_in_words(status: int, body: object, words: str) -> None:
    running = await server(status, body)
    async with aiohttp.ClientSession() as session, running:
        with pytest.raises(SetupError, match=words):
            await ask_server(session, f"http://127.0.0.1:{running.port}", "key")


async def test_nobody_there(unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SetupError, match="Is it running"):
            await ask_server(session, f"http://127.0.0.1:{unused_tcp_port}")
