import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from fastchat.arena.config import ArenaConfig
from fastchat.core.errors import SetupError
from fastchat.web.consent import consent_head, consent_html, consent_router
from fastchat.web.terms import Terms, markdown, read_terms
from fastchat.web.texts import Catalogue
from tests.web.arena_site import serving, site, staged, visitors_of

CATALOGUE = Catalogue.load()


@asynccontextmanager
async def reader(
    folder: Path, *, is_forced: bool = False, later_s: float = 0, **arenas: ArenaConfig
) -> AsyncIterator[aiohttp.ClientSession]:
    async with staged(folder, **arenas) as on:
        on.wall.advance(later_s)
        visitors = visitors_of(None)
        router = consent_router(on.arena, visitors.of, CATALOGUE, is_forced=is_forced)
        async with serving(on, app=site(on, visitors, router)) as url:
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(url, cookie_jar=jar, headers={"accept": "text/html"}) as session:
                yield session


async def agree(session: aiohttp.ClientSession, html: str, *, may_publish: bool = False) -> None:
    version = re.search(r'data-version="([^"]*)"', html)
    assert version
    body = {"arena": "default", "version": version[1], "may_publish": may_publish}
    async with session.post("/api/arena/consent", json=body) as reply:
        assert reply.status == 204


async def dialog(session: aiohttp.ClientSession, **query: str) -> str | None:
    async with session.get("/consent", params=query) as reply:
        assert reply.headers["cache-control"] == "no-store"
        return await reply.text() if reply.status == 200 else None


async def test_asked_once_a_version(tmp_path: Path) -> None:
    async with reader(tmp_path) as session:
        html = await dialog(session)
        assert html is not None
        await agree(session, html)
        assert await dialog(session) is None
    async with reader(tmp_path, default=ArenaConfig(terms_version="2")) as session:
        assert await dialog(session) is not None


async def test_new_terms_are_asked_again_of_the_same_browser(tmp_path: Path) -> None:
    async with reader(tmp_path) as session:
        html = await dialog(session)
        assert html is not None
        await agree(session, html)
        cookies = list(session.cookie_jar)
    async with reader(tmp_path, later_s=60, default=ArenaConfig(terms_version="2")) as session:
        session.cookie_jar.update_cookies({cookie.key: cookie.value for cookie in cookies})
        html = await dialog(session)
        assert html is not None
        await agree(session, html)
        assert await dialog(session) is None


async def test_forced_terms_are_shown_at_every_visit(tmp_path: Path) -> None:
    async with reader(tmp_path, is_forced=True) as session:
        for _ in range(2):
            html = await dialog(session)
            assert html is not None
            await agree(session, html)


async def test_it_speaks_the_readers_language(tmp_path: Path) -> None:
    async with reader(tmp_path) as session:
        async with session.get("/consent", headers={"accept-language": "fr"}) as reply:
            assert "Avant de commencer" in await reply.text()
        async with session.get("/terms", headers={"accept-language": "fr"}) as reply:
            page = await reply.text()
            assert '<html lang="fr">' in page
            assert "script" not in reply.headers["content-security-policy"]
            assert "<script" not in page


async def test_nobody_learns_of_an_arena_for_others(tmp_path: Path) -> None:
    secret = ArenaConfig(members=("ada",), is_listed=False)
    async with reader(tmp_path, default=ArenaConfig(), secret=secret) as session:
        for path in ("/consent", "/terms"):
            for name in ("secret", "nonsense"):
                async with session.get(path, params={"arena": name}) as reply:
                    assert reply.status == 404
                    assert (await reply.json())["error"]["message"] == f"There is no arena {name!r}."


def test_publishing_is_asked_for_only_where_it_is_meant() -> None:
    texts, terms = CATALOGUE.of("en"), Terms("1", "Be *kind*.")
    assert "may_publish" not in consent_html(ArenaConfig(), terms, texts)
    html = consent_html(ArenaConfig(publishes=True), terms, texts)
    assert "may_publish" in html
    assert "checked" not in html  # nobody agrees by not looking
    assert "<em>kind</em>" in html


def test_our_terms_say_what_holds() -> None:
    assert "erased after 30 days" in read_terms(ArenaConfig(retention_days=30)).text
    assert "erased after" not in read_terms(ArenaConfig()).text
    assert "are not published" in read_terms(ArenaConfig()).text
    assert "yours only if you agree" in read_terms(ArenaConfig(publishes=True)).text
    assert "{" not in read_terms(ArenaConfig()).text


def test_an_arenas_own_terms(tmp_path: Path) -> None:
    file = tmp_path / "terms.md"
    file.write_text("# Ours\n\n<script>alert(1)</script> ![](https://x.example/pixel.png) {braces}", "utf-8")
    terms = read_terms(ArenaConfig(terms=file, terms_version="2026-01"))
    assert terms.version == "2026-01"
    assert "<script>" not in terms.html
    assert "<img" not in terms.html
    with pytest.raises(SetupError, match=r"terms of use .*nowhere\.md cannot be read"):
        read_terms(ArenaConfig(terms=tmp_path / "nowhere.md"))


def test_links_in_terms_run_nothing() -> None:
    assert "javascript:" not in markdown("[x](javascript:alert)").replace("[x](javascript:alert)", "")


def test_the_script_is_told_where_it_is() -> None:
    assert '{"arena": "legal", "root": "../../"}' in consent_head(arena="legal", root="../../")
    assert "</script><b>" not in consent_head(arena="</script><b>")
