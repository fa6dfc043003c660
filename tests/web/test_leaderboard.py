import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from fastchat.access.people import Visitor
from fastchat.arena.config import ArenaConfig
from fastchat.arena.leaderboard.board import (
    BiasRow,
    Board,
    CategoryBoard,
    CleaningStep,
    CoefficientRow,
    FlipRow,
    ModelFacts,
    ModelRow,
    NeighbourRow,
    QuarantineBoard,
    VariantRow,
)
from fastchat.arena.leaderboard.verifying import verify_counts
from fastchat.arena.records import Mark, Outcome
from fastchat.arena.standings import Counting, Standings
from fastchat.arena.store.store import CountedVote
from fastchat.core.errors import NotFound
from fastchat.web.boards import category_title, ranks_of
from fastchat.web.leaderboard import Chosen, Leaderboard, LiveStandings, leaderboard_router
from fastchat.web.result_files import Rating, Results, read_results
from fastchat.web.texts import Catalogue
from tests.arena.service.stage import ADA
from tests.web.arena_site import serving, site, staged, visitors_of

DATA = Path(__file__).parent.parent / "data" / "leaderboard"
CATALOGUE = Catalogue.load()
ENGLISH = CATALOGUE.of("en")
WHOLE = r"<svg (?![^>]*fc-narrow)"  # of charts that are drawn twice, the one for wide screens


def votes(
    count: int, outcome: Outcome = Outcome.LEFT, left: str = "aurora", right: str = "zephyr"
) -> list[CountedVote]:
    return [CountedVote("default", "battle", outcome, left, right, 1_700_000_000.0)] * count


def of(*votes: CountedVote) -> LiveStandings:
    """An arena where these were cast."""
    counting = Counting()
    counting.add_all(votes)

    def standings(who: Visitor, arena: str) -> Standings:
        return counting.standings()

    return standings


live = of(*votes(3), *votes(1, Outcome.RIGHT))


def row(name: str, rating: float) -> ModelRow:
    return ModelRow(
        name=name, rating=rating, lower=rating - 9, upper=rating + 9, rank_lower=1, rank_upper=2, votes=200,
        win_rate=0.5, tier=1,
    )  # fmt: skip


def a_board() -> Board:
    models = (row("aurora", 1010), row("boreas", 990))
    category = CategoryBoard(
        votes=200,
        outcomes={"left": 100, "right": 80, "tie": 10, "both_bad": 10},
        both_bad_share=0.05,
        models=models,
        raw=(row("boreas", 1005), row("aurora", 995)),
        coefficients=(CoefficientRow(name="length", estimate=12.5, lower=10, upper=15),),
        neighbours=(
            NeighbourRow(
                better="aurora", worse="boreas", difference=20, error=9, probability=0.9, separated=False,
                votes_needed=None,
            ),
        ),
        top_flip=FlipRow(first="aurora", second="boreas", votes=7, share=0.035),
        digest="abc123",
    )  # fmt: skip
    bias = BiasRow(
        name="left side", unit="standing on the left", estimate=15, lower=9, upper=21, largest_change=1.5,
        order_changes=0,
    )  # fmt: skip
    variant = VariantRow(
        family="aurora", tested={"aurora-a": 40, "aurora-b": 60}, listed=("aurora-b",), flagged=True, expected_gain=4.2
    )
    return Board(
        code_version="1",
        built_at=1.7e9,
        parameters={"both_bad": "drop", "style_control": True},
        cleaning=(CleaningStep(rule="self play", why="a model against itself", given=210, dropped=10),),
        categories={"overall": category},
        quarantine=QuarantineBoard(
            voters=3, votes=11, level=0.1, applied=True, models_with=models, models_without=models
        ),
        bias=(bias,),
        variants=(variant,),
        facts={"aurora": ModelFacts(link="https://example.com/aurora", price=3)},
    ).sealed()


def written(board: Board, folder: Path) -> Path:
    file = folder / "board.json"
    file.write_text(board.model_dump_json())
    return file


def heads(html: str) -> list[str]:
    return re.findall(r"<th scope=.col[^>]*><button[^>]*>([^<]*)</button>", html)


def results() -> Results:
    files = DATA / "elo_results_pandas_1.pkl", DATA / "leaderboard_table.csv", DATA / "arena_hard.csv"
    return read_results(*files)


def column(html: str, at: int) -> list[str]:
    """What stands in a column of the first table, without markup."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", html.partition("<tbody>")[2].partition("</tbody>")[0], re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [re.sub(r"<[^>]+>", "", row[at]).strip() for row in cells]


async def test_the_live_table_shows_ratings_with_all_that_the_votes_leave_open() -> None:
    html = await Leaderboard(Results(), live).html(ADA, "default", ENGLISH)
    assert column(html, 0) == ["aurora preliminary", "zephyr preliminary"]
    assert column(html, 1) == ["1–2", "1–2"]
    # Three of four: odds of 3 to 1, so 400 log10(3) points apart.
    assert column(html, 2) == ["1095", "905"]
    low, high = map(int, column(html, 3)[0].split(" – "))
    assert low < 1000 < 1095 < high
    assert [column(html, at) for at in (4, 5)] == [["4", "4"], ["75.0%", "25.0%"]]
    assert "4 so far" in html
    assert "Last vote: 2023-11-14 22:13 UTC." in html
    assert heads(html) == ["Model", "Rank", "Rating", "95 % interval", "Votes", "Win rate"]


async def test_what_is_known_of_models_stands_beside_their_ratings() -> None:
    files = read_results(table=DATA / "leaderboard_table.csv")
    html = await Leaderboard(files, of(*votes(1, left="gpt-4o", right="secret"))).html(ADA, "default", ENGLISH)
    assert column(html, 0) == ["GPT-4o preliminary no upper bound yet", "secret preliminary no lower bound yet"]
    assert heads(html)[-2:] == ["Organization", "License"]
    assert [column(html, at) for at in (6, 7)] == [["OpenAI", "–"], ["Proprietary", "–"]]
    assert column(html, 3)[0].endswith(" – ∞")


async def test_models_that_never_met_stand_in_groups() -> None:
    apart = of(*votes(2), *votes(1, left="kite", right="lark"), *votes(1, left="lark", right="kite"))
    html = await Leaderboard(Results(), apart).html(ADA, "default", ENGLISH)
    assert heads(html)[-1] == "Group"
    assert column(html, 6) == ["1", "1", "2", "2"]
    assert "Ratings and ranks compare within a group only" in html


async def test_categories_of_the_live_board_can_be_chosen() -> None:
    board = Leaderboard(Results(), of(*votes(3), *(replace(one, category="tenancy") for one in votes(2))))
    html = await board.html(ADA, "default", ENGLISH)
    assert '<option value="overall" selected>Overall</option><option value="tenancy">Tenancy</option>' in html
    assert column(html, 4) == ["5", "5"]
    assert column(await board.html(ADA, "default", ENGLISH, Chosen(category="tenancy")), 4) == ["2", "2"]
    assert column(await board.html(ADA, "default", ENGLISH, Chosen(category="nothing")), 4) == ["5", "5"]


async def test_votes_that_are_left_out_are_told() -> None:
    named = replace(votes(1)[0], marks=frozenset({Mark.NAMES_ITSELF}))
    assert "told who wrote it: 1 votes" in await Leaderboard(Results(), of(*votes(1), named)).html(
        ADA, "default", ENGLISH
    )
    assert "told who wrote it" not in await Leaderboard(Results(), of(*votes(1))).html(ADA, "default", ENGLISH)


async def test_without_votes_there_is_an_invitation() -> None:
    html = await Leaderboard(Results(), of()).html(ADA, "default", ENGLISH)
    assert "Start a battle: yours is the first." in html
    assert "<table" not in html
    assert "<details" not in html
    assert "data-text" not in html  # the page's script would fill it with a text of that name


async def test_names_of_models_are_text() -> None:
    board = Leaderboard(Results(), of(*votes(1, left="<img src=x>${a}")))
    html = await board.html(ADA, "default", ENGLISH)
    for name in ("ratings", "win_rates", "battles"):
        html += await board.chart(ADA, "default", ENGLISH, Chosen(), name)
    assert "&lt;img" in html
    assert "<img" not in html


@pytest.mark.parametrize("name", ["ratings", "win_rates", "battles", "facts"])
async def test_charts_are_drawn_when_they_are_asked_for(name: str) -> None:
    board = Leaderboard(Results(), live)
    assert f'data-chart="{name}"' in await board.html(ADA, "default", ENGLISH)
    drawn = await board.chart(ADA, "default", ENGLISH, Chosen(), name)
    assert len(re.findall(WHOLE, drawn)) == 1
    assert "aurora" in drawn
    for wrong in ("nothing", "panels"):
        with pytest.raises(NotFound):
            await board.chart(ADA, "default", ENGLISH, Chosen(), wrong)


async def test_history_needs_two_days() -> None:
    one_day = Leaderboard(Results(), live)
    assert "<svg" not in await one_day.chart(ADA, "default", ENGLISH, Chosen(), "history")
    later = [replace(one, cast_at=one.cast_at + 86400) for one in votes(2)]
    two_days = Leaderboard(Results(), of(*votes(1), *later))
    assert "<polyline" in await two_days.chart(ADA, "default", ENGLISH, Chosen(), "history")


async def test_a_board_from_a_file_shows_all_that_it_says(tmp_path: Path) -> None:
    board = Leaderboard(read_results(written(a_board(), tmp_path)), None)
    html = await board.html(ADA, "default", ENGLISH)
    assert column(html, 0) == ["aurora", "boreas"]
    assert 'href="https://example.com/aurora"' in html
    assert '<option value="controlled" selected>Style controlled</option>' in html
    for said in (
        "Published board: Overall",
        "If 7 votes (3.50% of all) had gone the other way, boreas would be first instead of aurora.",
        "no number would do",
        "Length", "+12.5", "+10.0 to +15.0",  # a coefficient
        "+9.0 to +21.0",  # bias
        "Left side", "standing on the left",
        "best of several", "aurora-a (40), aurora-b (60)",
        "Self play", "a model against itself",
        "3 voters with 11 votes", "at most 10 of 100 honest voters",
        "These ratings are without control for style.",
        "<code>fastchat leaderboard verify board.json</code>",
        "<code>fastchat leaderboard verify board.json --votes FILE</code>", "abc123",
        "“Both are bad” is left out; it is 5.0% of the votes.",
    ):  # fmt: skip
        assert said in html, said
    raw = await board.html(ADA, "default", ENGLISH, Chosen(ratings="raw"))
    assert column(raw, 0) == ["boreas", "aurora"]
    assert '<option value="raw" selected>As voted</option>' in raw
    facts = await board.chart(ADA, "default", ENGLISH, Chosen(), "facts")
    assert len(re.findall(WHOLE, facts)) == 2
    assert "Price of a million tokens" in facts


async def test_tiers_are_shown_where_there_are_several() -> None:
    one = await Leaderboard(Results(), live).html(ADA, "default", ENGLISH)
    assert "Tier" not in one
    apart = await Leaderboard(Results(), of(*votes(400), *votes(100, Outcome.RIGHT))).html(ADA, "default", ENGLISH)
    assert heads(apart)[-1] == "Tier"
    assert column(apart, 6) == ["1", "2"]
    assert "Within a tier some may be told apart, too" in apart


async def test_panels_of_all_votes_say_so_in_a_category(tmp_path: Path) -> None:
    board = a_board()
    board = board.model_copy(update={"categories": {**board.categories, "coding": board.categories["overall"]}})
    shown = Leaderboard(read_results(written(board.sealed(), tmp_path)), None)
    told = "This is of all votes, not only of this category"
    assert told not in await shown.html(ADA, "default", ENGLISH)
    html = await shown.html(ADA, "default", ENGLISH, Chosen(category="coding"))
    panels = dict(re.findall(r'<details data-panel="(\w+)">(.*?)</details>', html, re.DOTALL))
    assert {name for name, inside in panels.items() if told in inside} == {
        "variants", "bias", "cleaning", "quarantine"
    }  # fmt: skip


async def test_all_ratings_are_drawn_and_maps_say_what_is_left_out() -> None:
    many = of(*(vote for at in range(70) for vote in votes(1, left=f"model-{at:02}", right="zephyr")))
    board = Leaderboard(Results(), many)
    drawn = await board.chart(ADA, "default", ENGLISH, Chosen(), "ratings")
    assert all(f"model-{at:02}" in drawn for at in range(70))
    assert "are drawn" not in drawn
    assert "25 of 71 models are drawn" in await board.chart(ADA, "default", ENGLISH, Chosen(), "battles")


async def test_files_give_the_other_tables() -> None:
    board = Leaderboard(results(), live)
    html = await board.html(ADA, "default", ENGLISH, Chosen("arena"))
    assert column(html, 0) == ["GPT-4o", "Vicuna-13B", "Koala-13B"]
    assert column(html, 1) == ["1", "2", "3"]
    assert column(html, 3)[0] == "+8 / −8"
    assert column(html, 5)[0] == "OpenAI"
    assert 'href="https://openai.com/index/hello-gpt-4o/" target="_blank" rel="noopener noreferrer nofollow"' in html
    assert "javascript:" not in html
    assert "Last updated: 2024-11-03 20:01:40 PST." in html

    vision = await board.html(ADA, "default", ENGLISH, Chosen("arena", "vision.full"))
    assert column(vision, 2)[0] == "1190"
    assert '<optgroup label="Vision"><option value="vision.full" selected>Overall</option>' in vision

    full = await board.html(ADA, "default", ENGLISH, Chosen("full"))
    assert [column(full, at)[1] for at in range(1, 5)] == ["1025", "16.2", "6.57", "55.8"]
    hard = await board.html(ADA, "default", ENGLISH, Chosen("hard"))
    assert column(hard, 1) == ["79.2", "16.2"]


async def test_without_a_live_arena_the_files_come_first() -> None:
    html = await Leaderboard(results(), None).html(ADA, "default", ENGLISH, Chosen("live"))
    assert "<h2>Arena: Overall</h2>" in html
    assert Leaderboard(Results(), None).is_empty
    with pytest.raises(NotFound):
        await Leaderboard(Results(), None).html(ADA, "default", ENGLISH)


async def test_it_speaks_other_languages() -> None:
    html = await Leaderboard(Results(), live).html(ADA, "default", CATALOGUE.of("de"))
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
    assert category_title(key) == title


async def test_over_http_it_shows_only_to_members(tmp_path: Path) -> None:
    secret = ArenaConfig(members=("ada",), is_listed=False)
    async with staged(tmp_path, default=ArenaConfig(language="fr"), secret=secret) as on:
        counting = Counting()
        counting.add_all(votes(1))

        def counted(who: Visitor, arena: str) -> Standings:
            on.arena.config(who, arena)
            return counting.standings()

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
            for status in (304, 200):
                async with session.get("/leaderboard/table", headers=known) as reply:
                    assert reply.status == status
                counting.add_all(votes(1))
            async with session.get("/leaderboard/chart", params={"chart": "ratings"}) as reply:
                assert "<svg" in await reply.text()
            for path, params in (("table", {}), ("chart", {"chart": "ratings"})):
                async with session.get(f"/leaderboard/{path}", params={"arena": "secret", **params}) as reply:
                    assert reply.status == 404
            for arena in ("default", "secret"):
                async with session.get("/leaderboard/board.json", params={"arena": arena}) as reply:
                    assert reply.status == 404


async def test_programs_get_the_live_board_and_verify_it(tmp_path: Path) -> None:
    async with staged(tmp_path, secret=ArenaConfig(members=("ada",), is_listed=False)) as on:
        battle = await on.battle()
        assert battle.vote_token
        await on.arena.vote(ADA, battle.conversation_id, battle.vote_token, Outcome.LEFT)
        visitors = visitors_of(None)
        async with serving(on, app=site(on, visitors)) as url, aiohttp.ClientSession(url) as session:
            async with session.get("/api/arena/leaderboard") as reply:
                board = Board.model_validate(await reply.json())
            async with session.get("/api/arena/leaderboard", params={"arena": "secret"}) as reply:
                assert reply.status == 404
            async with session.get("/api/arena/openapi.json") as reply:
                described = (await reply.json())["paths"]["/api/arena/leaderboard"]["get"]["responses"]["200"]
    assert described["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Board"}
    assert board.categories["overall"].votes == 1
    assert board.source["arena"] == "default"
    assert board.source["log"]["tree_size"] == 1
    assert verify_counts(board).is_right
