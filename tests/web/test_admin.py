"""The admins' page and their API over real HTTP, behind the login."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from fastchat.access.visitors import Visitors
from fastchat.arena.oversight import Oversight
from fastchat.arena.oversight_api import create_oversight_api
from fastchat.arena.records import Outcome
from fastchat.arena.transparency.heads import Signer
from fastchat.web.admin import admin_router
from tests.arena.service.stage import ADA, Stage
from tests.web.arena_site import PEOPLE, serving, site, staged, visitors_of

OURS = {"sec-fetch-site": "same-origin"}
HTML = {"accept": "text/html"}
READ = ("models", "battles", "votes", "flags", "actions", "storage", "conversations/x")
WRITE = (("PUT", "models/aurora-7b"), ("POST", "flags/x/review"), ("POST", "audit"))


@asynccontextmanager
async def browser(on: Stage, visitors: Visitors) -> AsyncIterator[aiohttp.ClientSession]:
    key = Signer.load(on.folder / "log.pem").public
    oversight = create_oversight_api(Oversight(on.store, key, wall=on.wall), visitors.of)
    page = admin_router(visitors.of, product="FastChat", has_logins=visitors.directory.asks_for_login)
    async with serving(on, app=site(on, visitors, oversight, page)) as url:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(url, cookie_jar=jar, headers=OURS) as session:
            yield session


async def sign_in(session: aiohttp.ClientSession, name: str) -> None:
    form = {"username": name, "password": PEOPLE[name]}
    async with session.post("/login", data=form, allow_redirects=False) as reply:
        assert reply.status == 303


async def status(session: aiohttp.ClientSession, method: str, path: str) -> int:
    body = {"json": {}} if method == "PUT" else {"data": b""}
    async with session.request(method, path, allow_redirects=False, **(body if method != "GET" else {})) as reply:
        return reply.status


@pytest.mark.parametrize("has_logins", [True, False])
async def test_nobody_comes_in_without_a_login(tmp_path: Path, has_logins: bool) -> None:
    async with staged(tmp_path) as on, browser(on, visitors_of(PEOPLE if has_logins else None)) as session:
        for path in READ:
            assert await status(session, "GET", f"/api/arena/admin/{path}") == 401, path
        for method, path in WRITE:
            assert await status(session, method, f"/api/arena/admin/{path}") == 401, path
        for path in ("/admin", "/admin/script.js"):
            async with session.get(path, headers=HTML, allow_redirects=False) as reply:
                assert reply.status == (303 if has_logins else 401)
                assert b"models" not in await reply.read()
                if has_logins:
                    assert reply.headers["location"].startswith("/login?next=/admin")


async def test_without_logins_the_page_says_what_to_do(tmp_path: Path) -> None:
    async with (
        staged(tmp_path) as on,
        browser(on, visitors_of(None)) as session,
        session.get("/admin", headers=HTML) as reply,
    ):
        assert "give it some with --gradio-auth-path" in await reply.text()


async def test_whoever_is_no_admin_is_told_so(tmp_path: Path) -> None:
    async with staged(tmp_path) as on, browser(on, visitors_of(PEOPLE)) as session:
        await sign_in(session, "ada")
        for path in READ:
            assert await status(session, "GET", f"/api/arena/admin/{path}") == 403, path
        for method, path in WRITE:
            assert await status(session, method, f"/api/arena/admin/{path}") == 403, path
        async with session.get("/admin", headers=HTML) as reply:
            assert reply.status == 403
            assert "ada is none" in await reply.text()


async def test_admins_see_the_page_and_nothing_of_others_is_loaded(tmp_path: Path) -> None:
    async with staged(tmp_path) as on, browser(on, visitors_of(PEOPLE)) as session:
        await sign_in(session, "root")
        async with session.get("/admin", headers=HTML) as reply:
            assert reply.status == 200
            policy = reply.headers["content-security-policy"]
            assert "script-src 'self';" in policy
            assert "frame-ancestors 'none'" in policy
            page = await reply.text()
        assert '<h2 id="models-title">Models</h2>' in page
        assert "{" not in page.partition("</style>")[2]
        assert " on" + "click" not in page
        async with session.get("/admin/script.js") as reply:
            assert reply.content_type == "text/javascript"
            assert "innerHTML" not in await reply.text()


async def test_another_sites_page_cannot_use_an_admins_browser(tmp_path: Path) -> None:
    async with staged(tmp_path) as on, browser(on, visitors_of(PEOPLE)) as session:
        await sign_in(session, "root")
        for method, path in WRITE:
            url = f"/api/arena/admin/{path}"
            async with session.request(method, url, json={}, headers={"sec-fetch-site": "cross-site"}) as reply:
                assert reply.status == 403
        async with session.get("/api/arena/admin/actions") as reply:
            assert await reply.json() == []


async def test_the_store_and_its_log_are_shown_and_checked(tmp_path: Path) -> None:
    async with staged(tmp_path) as on, browser(on, visitors_of(PEOPLE)) as session:
        await sign_in(session, "root")
        async with session.get("/api/arena/admin/storage") as reply:
            assert (await reply.json())["head"] is None
        battle = await on.battle()
        assert battle.vote_token is not None
        await on.arena.vote(ADA, battle.conversation_id, battle.vote_token, Outcome.TIE)
        async with session.get("/api/arena/admin/storage") as reply:
            kept = await reply.json()
        assert (kept["votes"], kept["conversations"], kept["head"]["tree_size"]) == (1, 1, 1)
        async with session.post("/api/arena/admin/audit") as reply:
            verdict = await reply.json()
        assert verdict == {"is_valid": True, "votes": 1, "heads": 1, "signed_votes": 1, "problems": []}
        async with session.get("/api/arena/admin/actions") as reply:
            (action,) = await reply.json()
        assert (action["login"], action["action"]) == ("root", "audit")
