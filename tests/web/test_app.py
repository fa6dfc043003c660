"""The page's server, seen by HTTP clients that are no browser."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from fastchat.web.app import create_app
from fastchat.web.logins import Login
from fastchat.web.settings import Limits, WebSettings

Visit = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    """Opens a client to a page with the given settings; no socket is needed where nothing streams."""
    clients: list[httpx.AsyncClient] = []

    def open_client(logins: tuple[Login, ...] = (), **settings: object) -> httpx.AsyncClient:
        app = create_app(WebSettings(**settings), logins=logins)  # type: ignore[arg-type]
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(app.asgi), base_url="http://page"))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.aclose()


async def test_health_needs_no_api_behind_it(visit: Visit) -> None:
    reply = await visit(api_url="http://127.0.0.1:9").get("/health")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/", "/health", "/theme.css", "/gradio_api/info", "/nothing-here"])
async def test_every_answer_carries_the_security_headers(visit: Visit, path: str) -> None:
    headers = (await visit().get(path)).headers
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/file=http://127.0.0.1:9/secret"),
        ("GET", "/gradio_api/file=https%3A//example.com/"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/proxy=https://example.com"),
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/deep_link?session_hash=x"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/vibe-code"),
    ],
)
async def test_gradios_other_routes_are_closed(visit: Visit, method: str, path: str) -> None:
    assert (await visit().request(method, path)).status_code == 403


@pytest.mark.parametrize("path", ["/openapi.json", "/redoc", "/monitoring", "/run-history"])
async def test_nothing_else_is_told_about_the_server(visit: Visit, path: str) -> None:
    assert (await visit().get(path)).status_code in (403, 404)


async def test_a_body_that_is_too_large_is_not_read(visit: Visit) -> None:
    headers = {"content-length": str(Limits().body_bytes + 1)}
    reply = await visit().post("/gradio_api/queue/join", headers=headers, content=b"{}")
    assert reply.status_code == 413


async def test_a_body_of_unknown_length_is_not_read(visit: Visit) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{"

    assert (await visit().post("/gradio_api/queue/join", content=endless())).status_code == 411


async def test_the_link_to_the_api_docs_leads_to_the_api(visit: Visit) -> None:
    reply = await visit(api_url="http://api.example:8000/").get("/docs")
    assert (reply.status_code, reply.headers["location"]) == (307, "http://api.example:8000/docs")


@pytest.mark.parametrize(
    ("headers", "root"),
    [
        ({}, "http://page"),
        ({"host": "chat.example"}, "http://chat.example"),
        ({"host": "chat.example", "x-forwarded-proto": "https"}, "https://chat.example"),
        ({"x-forwarded-host": "chat.example:8443", "x-forwarded-proto": "https"}, "https://chat.example:8443"),
    ],
)
async def test_the_page_is_rooted_where_the_browser_found_it(visit: Visit, headers: dict[str, str], root: str) -> None:
    assert (await visit().get("/config", headers=headers)).json()["root"] == root


async def test_a_page_under_a_path_of_a_proxy_is_rooted_there(visit: Visit) -> None:
    assert (await visit(gradio_root_path="/chat").get("/config")).json()["root"] == "http://page/chat"


async def test_with_logins_the_page_asks_for_one(visit: Visit) -> None:
    client = visit(logins=(Login("ada", "enigma"),))
    assert (await client.get("/config")).status_code == 401
    assert (await client.post("/login", data={"username": "ada", "password": "wrong"})).status_code == 400
    assert (await client.post("/login", data={"username": "ada", "password": "enigma"})).status_code == 200
    assert (await client.get("/config")).status_code == 200


async def test_the_page_names_no_other_host(visit: Visit) -> None:
    """Not even where nothing is loaded from it: the browser tests see requests, this sees what could become one."""
    text = (await visit().get("/")).text
    for attribute in ('src="http', 'rel="preconnect"', 'rel="preload"', "@import"):
        assert attribute not in text


async def test_name_and_icon_are_ours(visit: Visit) -> None:
    client = visit()
    assert "FastChat" in (await client.get("/")).text
    assert (await client.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"


def test_the_assets_are_part_of_the_package() -> None:
    from fastchat.web.theme import asset

    for file in (Path(__file__).parents[2] / "fastchat/web/assets").iterdir():
        assert asset(file.name)
