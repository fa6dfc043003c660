import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from fastchat.access.people import Visitor
from fastchat.arena.config import ArenaConfig
from fastchat.arena.records import Mark, Outcome
from fastchat.arena.standings import Counting, Standings
from fastchat.arena.store.store import CountedVote
from fastchat.core.errors import NotFound
from fastchat.web.boards import category_title, live_board, ranks_of
from fastchat.web.leaderboard import Leaderboard, leaderboard_router
from fastchat.web.result_files import Category, Rating, Results, read_results
from fastchat.web.texts import Catalogue
from tests.arena.service.stage import ADA
from tests.web.arena_site import serving, site, staged, visitors_of

DATA = Path(__file__).parent.parent / "data" / "leaderboard"
CATALOGUE = Catalogue.load()
ENGLISH = CATALOGUE.of("en")


def votes(
    count: int, outcome: Outcome = Outcome.LEFT, left: str = "aurora", right: str = "zephyr"
) -> list[CountedVote]:
    return [CountedVote("default", "battle", outcome, left, right, 1_700_000_000.0)] * count


def standings(*votes: CountedVote) -> Standings:
    counting = Counting()
    counting.add_all(votes)
    return counting.standings()


def live(who: Visitor, arena: str) -> Standings:
    return standings(*votes(3), *votes(1, Outcome.RIGHT))


def results() -> Results:
    files = DATA / "elo_results_pandas_1.pkl", DATA / "leaderboard_table.csv", DATA / "arena_hard.csv"
    return read_results(*files)


def column(html: str, at: int) -> list[str]:
    """What stands in a column, without markup."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html.partition("<tbody>")[2], re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [re.sub(r"<[^>]+>", "", row[at]).strip() for row in cells]


async def test_the_live_table_counts_and_says_what_it_is() -> None:
    html = Leaderboard(Results(), live).html(ADA, "default", ENGLISH)
    assert column(html, 0) == ["aurora preliminary", "zephyr preliminary"]
    assert column(html, 1) == ["75.0%", "25.0%"]
    assert column(html, 2) == ["30.1% – 95.4%", "4.6% – 69.9%"]
    assert [column(html, at)[0] for at in range(3, 9)] == ["4", "3", "1", "0", "0", "75.0%"]
    assert "This is a count and not a rating" in html
    assert "4 so far" in html
    assert "Last vote: 2023-11-14 22:13 UTC." in html


def test_votes_that_are_left_out_are_told() -> None:
    named = replace(votes(1)[0], marks=frozenset({Mark.NAMES_ITSELF}))
    told = " ".join(live_board(standings(*votes(1), named), ENGLISH).notes)
    assert "told who wrote it: 1 votes" in told
    assert "told who wrote it" not in " ".join(live_board(standings(*votes(1)), ENGLISH).notes)


async def test_without_votes_there_is_an_invitation() -> None:
    def nothing(who: Visitor, arena: str) -> Standings:
        return standings()

    html = Leaderboard(Results(), nothing).html(ADA, "default", ENGLISH)
    assert "Start a battle: yours is the first." in html
    assert "<table" not in html


async def test_names_of_models_are_text() -> None:
    def evil(who: Visitor, arena: str) -> Standings:
        return standings(*votes(1, left="<img src=x>${a}"))

    html = Leaderboard(Results(), evil).html(ADA, "default", ENGLISH)
    assert "<img" not in html
    assert "${" not in html


async def test_files_give_the_other_tables() -> None:
    board = Leaderboard(results(), live)
    html = board.html(ADA, "default", ENGLISH, table="arena")
    assert column(html, 0) == ["GPT-4o", "Vicuna-13B", "Koala-13B"]
    assert column(html, 1) == ["1", "2", "3"]
    assert column(html, 3)[0] == "+8 / −8"
    assert column(html, 5)[0] == "OpenAI"
    assert 'href="https://openai.com/index/hello-gpt-4o/" target="_blank" rel="noopener noreferrer nofollow"' in html
    assert "javascript:" not in html
    assert "Last updated: 2024-11-03 20:01:40 PST." in html

    vision = board.html(ADA, "default", ENGLISH, table="arena", category="vision.full")
    assert column(vision, 2)[0] == "1190"
    assert '<optgroup label="Vision"><option value="vision.full" selected>Overall</option>' in vision

    full = board.html(ADA, "default", ENGLISH, table="full")
    assert [column(full, at)[1] for at in range(1, 5)] == ["1025", "16.2", "6.57", "55.8"]
    hard = board.html(ADA, "default", ENGLISH, table="hard")
    assert column(hard, 1) == ["79.2", "16.2"]


async def test_without_a_live_arena_the_files_come_first() -> None:
    html = Leaderboard(results(), None).html(ADA, "default", ENGLISH, table="live")
    assert "<h2>Arena: Overall</h2>" in html
    assert Leaderboard(Results(), None).is_empty
    with pytest.raises(NotFound):
        Leaderboard(Results(), None).html(ADA, "default", ENGLISH)


async def test_it_speaks_other_languages() -> None:
    html = Leaderboard(Results(), live).html(ADA, "default", CATALOGUE.of("de"))
    assert "<h2>Diese Arena</h2>" in html
    assert "vorläufig" in html


def test_ranks_by_what_is_certain() -> None:
    def one(model: str, low: float, high: float, battles: int | None = 500) -> Rating:
        fields = {"rating_q025": low, "rating_q975": high, "num_battles": battles}
        return Rating.model_validate({"model": model, "rating": (low + high) / 2, **fields})

    ratings = [one("a", 10, 20), one("b", 12, 22), one("c", 0, 11), one("d", 0, 9), one("few", 90, 99, 300)]
    # c: b lies wholly above it, a does not. d: a and b do.
    assert ranks_of(ratings) == {"a": 1, "b": 1, "c": 2, "d": 3}
    assert ranks_of([one("a", 1, 2, None)]) == {}


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("full", "Overall"),
        ("coding_style_control", "Coding, style controlled"),
        ("creative_writing", "Creative writing"),
    ],
)
def test_categories_have_names(key: str, title: str) -> None:
    assert category_title(Category(key, "text", ())) == title


async def test_over_http_it_shows_only_to_members(tmp_path: Path) -> None:
    secret = ArenaConfig(members=("ada",), is_listed=False)
    async with staged(tmp_path, default=ArenaConfig(language="fr"), secret=secret) as on:
        counts = [1]

        def counted(who: Visitor, arena: str) -> Standings:
            on.arena.config(who, arena)
            return standings(*votes(counts[0]))

        def language(name: str) -> str | None:
            config = on.arena.configs.get(name)
            return config.language if config else None

        visitors = visitors_of(None)
        router = leaderboard_router(Leaderboard(Results(), counted), visitors.of, CATALOGUE, language)
        async with (
            serving(on, app=site(on, visitors, router)) as url,
            aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
        ):
            async with session.get("/leaderboard/table", headers={"accept-language": "de"}) as reply:
                assert "Cette arène" in await reply.text()
                assert reply.headers["cache-control"] == "no-store"
                known = {"if-none-match": reply.headers["etag"]}
            for count, status in ((1, 304), (2, 200)):
                counts[0] = count
                async with session.get("/leaderboard/table", headers=known) as reply:
                    assert reply.status == status
            async with session.get("/leaderboard/table", params={"arena": "secret"}) as reply:
                assert reply.status == 404
