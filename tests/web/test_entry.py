from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from fastchat.arena.config import ArenaConfig, Look
from fastchat.web.entry import ArenaEntry
from fastchat.web.look import look_router
from tests.web.arena_site import PEOPLE, serving, site, staged, visitors_of

FRAMED = "https://intra.example.com"
ARENAS = {
    "default": ArenaConfig(),
    "open": ArenaConfig(embed_origins=(FRAMED,)),
    "team": ArenaConfig(members=("ada",)),
    "secret": ArenaConfig(members=("ada",), is_listed=False),
}
PAGES = dict.fromkeys(("/", "/a/open/", "/a/team/", "/a/secret/", "/a/secret/gradio_api/queue/data"), "<p>page</p>")


@asynccontextmanager
async def visit(
    folder: Path, *, name: str | None = None, **arenas: ArenaConfig
) -> AsyncIterator[aiohttp.ClientSession]:
    """Pages that ask for no login but where members are; `name` is signed in."""
    async with staged(folder, **(ARENAS | arenas)) as on:
        visitors = visitors_of(PEOPLE)
        app = site(on, visitors, look_router(on.arena, visitors.of), pages=PAGES, is_open=True)
        entry = ArenaEntry(app, on.arena, visitors.of, has_logins=True)
        async with (
            serving(on, app=entry) as url,
            aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            if name:
                await session.post("/login", data={"username": name, "password": PEOPLE[name]}, allow_redirects=False)
            yield session


async def status(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path, allow_redirects=False) as reply:
        return reply.status, reply.headers.get("location", "")


async def test_strangers(tmp_path: Path) -> None:
    async with visit(tmp_path) as session:
        assert await status(session, "/a/open/") == (200, "")
        assert await status(session, "/a/open?embed=1") == (307, "/a/open/?embed=1")
        assert await status(session, "/a/team/") == (303, "/login?next=/a/team/")
        for path in ("/a/secret/", "/a/secret", "/a/secret/gradio_api/queue/data", "/a/nonsense/", "/a/"):
            assert await status(session, path) == (404, ""), path
        async with session.get("/api/arena/arenas") as reply:
            assert [one["name"] for one in await reply.json()] == ["default", "open", "team"]


@pytest.mark.parametrize(("name", "code"), [("ada", 200), ("root", 200)])
async def test_members_and_admins(tmp_path: Path, name: str, code: int) -> None:
    async with visit(tmp_path, name=name) as session:
        for path in ("/a/team/", "/a/secret/", "/a/secret/gradio_api/queue/data"):
            assert await status(session, path) == (code, ""), path


async def test_only_an_arenas_own_page_can_be_framed(tmp_path: Path) -> None:
    async with visit(tmp_path, name="ada") as session:
        for path, rule in [
            ("/a/open/", f"frame-ancestors 'self' {FRAMED};"),
            ("/a/team/", "frame-ancestors 'self';"),
            ("/", "frame-ancestors 'self';"),
        ]:
            async with session.get(path) as reply:
                assert rule in reply.headers["content-security-policy"], path


async def test_a_logo_is_a_picture_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "logo.svg"
    file.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', "utf-8")
    look = Look(logo=file)
    secret = ARENAS["secret"].model_copy(update={"look": look})
    async with visit(tmp_path, default=ArenaConfig(look=look), secret=secret) as session:
        async with session.get("/look/default/logo", headers={"sec-fetch-dest": "image"}) as reply:
            assert (reply.status, reply.content_type) == (200, "image/svg+xml")
            assert reply.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
            assert reply.headers["content-disposition"] == "attachment"
            assert reply.headers["x-content-type-options"] == "nosniff"
        assert await status(session, "/look/secret/logo") == (404, "")
        assert await status(session, "/look/open/logo") == (404, "")
