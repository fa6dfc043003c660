"""The page's server, seen by HTTP clients that are no browser."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from fastchat.access.directory import Directory
from fastchat.access.passwords import Passwords
from fastchat.access.settings import Access
from fastchat.access.sign_in import SignIn
from fastchat.access.visitors import Visitors
from fastchat.arena.oversight import Oversight
from fastchat.client.fleet import Fleet
from fastchat.llm_judge.files import append_row
from fastchat.web.app import Parts, create_app
from fastchat.web.leaderboard import Leaderboard
from fastchat.web.result_files import Results
from fastchat.web.settings import Limits, WebSettings
from fastchat.web.uploads import Uploads
from tests.llm_judge.rows import answer, question
from tests.web.stub_arena import StubArena

Visit = Callable[..., httpx.AsyncClient]
HTML = {"accept": "text/html"}


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    """Opens a client to a page with the given settings; no socket is needed where nothing streams."""
    clients: list[httpx.AsyncClient] = []

    def open_client(passwords: dict[str, str] | None = None, **settings: object) -> httpx.AsyncClient:
        limits = Limits()
        visitors = Visitors(b"k" * 32, Directory(Passwords(passwords or {})))
        parts = Parts(
            arena=StubArena(),
            fleet=Fleet(),
            access=Access(visitors, SignIn(visitors), ""),
            oversight=Oversight(cast(Any, None), cast(Any, None), wall=lambda: 0.0),  # nobody asks it anything
            board=Leaderboard(Results(), None),
            uploads=Uploads(tmp_path, file_limit=limits.upload_bytes, total_limit=limits.uploads_bytes),
            limits=limits,
        )
        app = create_app(WebSettings(**settings), parts)  # type: ignore[arg-type]
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
        ("GET", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=http://127.0.0.1:9/x.png"),
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


async def test_an_upload_may_be_larger_than_a_question_and_no_larger(visit: Visit) -> None:
    client, limits = visit(), Limits()
    for size, status in ((limits.upload_bytes, 400), (limits.upload_bytes + 2**20, 413)):  # 400: this is no form
        headers = {"content-length": str(size)}
        assert (await client.post("/gradio_api/upload", headers=headers, content=b"x")).status_code == status


async def test_uploads_end_when_there_is_no_room(visit: Visit, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(Limits().uploads_bytes)
    reply = await visit().post("/gradio_api/upload", headers={"content-length": "10"}, content=b"x" * 10)
    assert reply.status_code == 507


@pytest.mark.parametrize(("path", "status"), [("/logout", 403), ("/config", 403), ("/favicon.ico", 200)])
async def test_an_answers_image_can_ask_for_nothing_but_images(visit: Visit, path: str, status: int) -> None:
    assert (await visit().get(path, headers={"sec-fetch-dest": "image"})).status_code == status


async def test_the_version_of_the_models_tells_no_name(visit: Visit) -> None:
    client = visit()
    first, second = [(await client.get("/models-version")).text for _ in range(2)]
    assert first == second
    assert len(first.split(" ")) == 2


async def test_a_visitor_is_known_again_by_a_cookie_that_scripts_cannot_read(visit: Visit) -> None:
    cookie = (await visit().get("/", headers=HTML)).headers["set-cookie"]
    assert cookie.startswith("fastchat_voter=")
    assert "HttpOnly" in cookie


async def test_a_page_of_another_site_cannot_act_for_the_visitor(visit: Visit) -> None:
    headers = {"sec-fetch-site": "cross-site", "cookie": "fastchat_voter=" + "0" * 32, "content-length": "2"}
    assert (await visit().post("/gradio_api/run/predict", headers=headers, content=b"{}")).status_code == 403


async def test_the_arenas_api_stands_beside_the_page(visit: Visit) -> None:
    assert (await visit().get("/api/arena/models")).json() == [
        {"name": "a", "can_see": False},
        {"name": "b", "can_see": False},
    ]


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
    client = visit({"ada": "enigma"})
    assert (await client.get("/config")).status_code == 401
    assert (await client.get("/", headers=HTML)).headers["location"] == "/login?next=/"
    wrong, right = ({"username": "ada", "password": word} for word in ("wrong", "enigma"))
    assert (await client.post("/login", data=wrong)).status_code == 401
    assert (await client.post("/login", data=right)).status_code == 303
    assert (await client.get("/config")).status_code == 200


async def test_the_page_can_ask_who_is_signed_in(visit: Visit) -> None:
    client = visit({"ada": "enigma"})
    assert (await client.get("/whoami")).status_code == 401
    await client.post("/login", data={"username": "ada", "password": "enigma"})
    reply = await client.get("/whoami")
    assert reply.json() == {"name": "ada", "is_admin": False, "has_logins": True, "root": ""}
    assert reply.headers["cache-control"] == "no-store"
    await client.post("/logout")
    assert (await client.get("/whoami")).status_code == 401


async def test_without_logins_there_is_nobody_to_be(visit: Visit) -> None:
    reply = await visit().get("/whoami")
    assert reply.json() == {"name": None, "is_admin": False, "has_logins": False, "root": ""}


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


async def test_an_evaluation_stands_beside_the_page(visit: Visit, tmp_path: Path) -> None:
    append_row(tmp_path / "question.jsonl", question(81))
    append_row(tmp_path / "model_answer" / "m1.jsonl", answer("m1"))
    page = visit(bench=tmp_path)
    assert (await page.get("/bench")).headers["location"] == "/bench/"
    assert "1 question, 1 model" in (await page.get("/bench/")).text
    assert "m1 says red." in (await page.get("/bench/questions/0001.html")).text
    assert (await page.get("/bench/grade/next")).status_code == 404
