from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from fastchat.access.people import Visitor
from fastchat.arena.config import ArenaConfig, Look
from fastchat.arena.oversight import Oversight
from fastchat.arena.standings import Counting, Standings
from fastchat.arena.transparency.heads import Signer
from fastchat.core.errors import SetupError
from fastchat.web.beside import Surroundings, beside, routers
from fastchat.web.leaderboard import Leaderboard
from fastchat.web.result_files import Results
from fastchat.web.texts import Catalogue
from tests.arena.service.stage import Stage
from tests.web.arena_site import PEOPLE, serving, site, staged, visitors_of


def nothing(who: Visitor, arena: str) -> Standings:
    return Counting().standings()


def around(on: Stage, board: Leaderboard | None = None) -> Surroundings:
    oversight = Oversight(on.store, Signer.load(on.folder / "log.pem").public, wall=on.wall)
    visitors = visitors_of(PEOPLE)
    return Surroundings(on.arena, visitors, oversight, board or Leaderboard(Results(), nothing), Catalogue.load())


async def test_all_of_it_answers_and_only_after_the_login(tmp_path: Path) -> None:
    async with staged(tmp_path) as on:
        of = around(on)
        async with (
            serving(on, app=site(on, of.visitors, *routers(of))) as url,
            aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            paths = ("/leaderboard/table", "/about", "/terms", "/consent", "/admin", "/api/arena/admin/storage")
            for path in paths:
                async with session.get(path, allow_redirects=False) as reply:
                    assert reply.status == 401, path
            await session.post("/login", data={"username": "root", "password": PEOPLE["root"]}, allow_redirects=False)
            for path in paths:
                async with session.get(path, allow_redirects=False) as reply:
                    assert reply.status == 200, path


async def test_each_arena_has_its_own(tmp_path: Path) -> None:
    legal = ArenaConfig(language="de", look=Look(accent="#7c2d12"))
    async with staged(tmp_path, default=ArenaConfig(), legal=legal) as on:
        of = around(on)
        ours, theirs = beside(of), beside(of, name="legal")
        assert [view.title.key for view in ours.views] == ["leaderboard", "about"]
        assert theirs.texts.translations["en"]["leaderboard"] == "Rangliste"
        assert "#7c2d12" in theirs.head
        assert "#7c2d12" not in ours.head
        assert '{"arena": "legal", "root": "../../"}' in theirs.head
        assert ours.texts.translations["fr"]["send"] == "Envoyer"
        assert theirs.texts.translations["fr"]["send"] == "Senden"
        empty = beside(around(on, Leaderboard(Results(), None)))
        assert [view.slug for view in empty.views] == ["about"]
        chat = beside(of, is_arena=False)
        assert (chat.views, "fcConsent" in chat.head) == ([], False)
        assert "fcConsent" in beside(replace(of, shows_terms_always=True), is_arena=False).head


async def test_what_cannot_be_used_is_said_at_the_start(tmp_path: Path) -> None:
    async with staged(tmp_path, legal=ArenaConfig(look=Look(accent="#ffff00"))) as on:
        with pytest.raises(SetupError, match=r"Arena 'legal': look\.accent #ffff00 cannot be read"):
            routers(around(on))
