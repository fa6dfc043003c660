from pathlib import Path

import aiohttp
import pytest

from fastchat.arena.config import ArenaConfig
from fastchat.arena.records import Mode
from fastchat.web.about import about_html, about_markdown, about_router
from fastchat.web.texts import Catalogue
from tests.web.arena_site import serving, site, staged, visitors_of

CATALOGUE = Catalogue.load()
ENGLISH = CATALOGUE.of("en")


def test_it_says_what_holds_here() -> None:
    plain = about_markdown(ArenaConfig(), ENGLISH)
    assert "until you delete them" in plain
    assert "not published" in plain
    other = about_markdown(ArenaConfig(retention_days=14, publishes=True), ENGLISH)
    assert "for 14 days" in other
    assert "yours only if you have agreed" in other


def test_without_battles_nothing_is_said_of_votes() -> None:
    html = about_html(ArenaConfig(modes=(Mode.DIRECT,)), ENGLISH)
    assert "What a battle is" not in html
    assert "What is stored" in html


@pytest.mark.parametrize("language", CATALOGUE.languages)
def test_every_language_fills_every_place(language: str) -> None:
    html = about_html(ArenaConfig(retention_days=9), CATALOGUE.of(language), arena="legal", root="../../")
    assert "{" not in html
    assert 'href="../../api/arena/me"' in html
    assert 'href="../../terms?arena=legal"' in html
    assert "<code>fastchat arena verify</code>" in html


async def test_over_http(tmp_path: Path) -> None:
    secret = ArenaConfig(members=("ada",), is_listed=False)
    async with staged(tmp_path, default=ArenaConfig(), secret=secret) as on:
        visitors = visitors_of(None)
        app = site(on, visitors, about_router(on.arena, visitors.of, CATALOGUE))
        async with serving(on, app=app) as url, aiohttp.ClientSession(url) as session:
            async with session.get("/about", headers={"accept-language": "ja"}) as reply:
                assert "バトルとは" in await reply.text()
            async with session.get("/about", params={"root": "https://x.example/"}) as reply:
                assert reply.status == 400
            async with session.get("/about", params={"arena": "secret"}) as reply:
                assert reply.status == 404
