"""What stands beside the conversation, in a real browser and without Gradio: leaderboard, about, consent, admin."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from fastapi import APIRouter
from playwright.async_api import Browser, Page, expect

from fastchat.access.people import Visitor
from fastchat.access.visitors import Visitors
from fastchat.arena.config import ArenaConfig
from fastchat.arena.leaderboard.rendering.site import write_site
from fastchat.arena.oversight import Oversight
from fastchat.arena.oversight_api import create_oversight_api
from fastchat.arena.records import Outcome
from fastchat.arena.standings import Counting, Standings
from fastchat.arena.store.store import CountedVote
from fastchat.arena.transparency.heads import Signer
from fastchat.web.about import about_router
from fastchat.web.admin import admin_router
from fastchat.web.consent import consent_head, consent_router
from fastchat.web.leaderboard import Leaderboard, leaderboard_router
from fastchat.web.packaged import packaged
from fastchat.web.result_files import read_results
from fastchat.web.texts import Catalogue
from tests.arena.service.stage import ADA, Stage
from tests.web.arena_site import PEOPLE, serving, site, staged, visitors_of
from tests.web.test_leaderboard import a_board, written

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DATA = Path(__file__).parent.parent / "data" / "leaderboard"
CATALOGUE = Catalogue.load()
PLAIN = (
    "--paper:#fbfaf8;--surface:#fff;--sunken:#f3f1ee;--line:#e4e0db;--ink:#1d1a18;--ink-soft:#5f5852;--accent:#0f766e;"
)
GRADIOS = (
    "--border-color-primary:#e4e0db;--background-fill-primary:#fff;--background-fill-secondary:#f3f1ee;"
    "--body-text-color:#1d1a18;--body-text-color-subdued:#5f5852;--border-color-accent:#0f766e;--link-text-color:#0f766e;"
    "--button-primary-background-fill:#0f766e;--button-primary-text-color:#fff;--code-background-fill:#f3f1ee;"
)


def tab(name: str, place: str, script: str, head: str = "") -> str:
    """A page with one tab in it, its script called as Gradio calls it."""
    return (
        f'<!doctype html><html lang="en"><head><title>Tab</title><link rel="icon" href="data:,">'
        f'<meta name="viewport" content="width=device-width"><style>:root{{{GRADIOS}}}body{{margin:0}}'
        f"{packaged('leaderboard.css')}</style>{head}</head>"
        f"<body><main><h1>Page</h1><div id='fc-{name}'>{place}</div></main>"
        f"<script>(element => {{ {script} }})(document.getElementById('fc-{name}'))</script></body></html>"
    )


BOARD = tab(
    "leaderboard",
    '<div class="fc-board-place" data-arena="default" data-root="" data-failed="no"></div>',
    packaged("leaderboard.js"),
)
ABOUT = tab(
    "about",
    '<div class="fc-about-place" data-arena="default" data-root="" data-failed="no"></div>',
    packaged("about.js"),
    f"<style>{packaged('consent.css')}</style>",
)
# Nothing of them has to be scrolled to.
INSIDE = "all => all.every(one => one.getBoundingClientRect().right <= one.parentElement.getBoundingClientRect().right)"
CONSENT = tab("nothing", "<button>Behind</button>", "", consent_head())


@asynccontextmanager
async def opened(
    browser: Browser, on: Stage, visitors: Visitors, routers: Sequence[APIRouter], path: str, html: str = ""
) -> AsyncIterator[Page]:
    """A page of that site in a new browser. Afterwards: it called nobody else, and complained of nothing."""
    async with serving(on, app=site(on, visitors, *routers, pages={path: html} if html else None)) as url:
        context = await browser.new_context(viewport={"width": 1100, "height": 800})
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: None if sent.url.startswith((url, "data:")) else complaints.append(sent.url))
        await page.goto(url + path)
        yield page
        await context.close()
        assert complaints == []


async def assert_accessible(page: Page) -> None:
    found = await Axe().run(page)
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == [], [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious]


async def fits(page: Page) -> bool:
    await page.set_viewport_size({"width": 390, "height": 800})
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def counted() -> Standings:
    counting = Counting()
    for left, right, count in (("aurora", "zephyr", 30), ("zephyr", "boreas", 20), ("boreas", "aurora", 2)):
        counting.add_all([CountedVote("default", "battle", Outcome.LEFT, left, right, 1.7e9)] * count)
    return counting.standings()


async def test_the_leaderboard_filters_sorts_and_changes_tables(browser: Browser, tmp_path: Path) -> None:
    def live(who: Visitor, arena: str) -> Standings:
        return counted()

    files = DATA / "elo_results_pandas_1.pkl", DATA / "leaderboard_table.csv", DATA / "arena_hard.csv"
    async with staged(tmp_path) as on:
        visitors = visitors_of(None)
        board = leaderboard_router(Leaderboard(read_results(*files), live), visitors.of, CATALOGUE, lambda _: None)
        async with opened(browser, on, visitors, [board], "/tab", BOARD) as page:
            names = page.locator("tbody tr:visible th")
            await expect(names).to_have_text([re.compile("^aurora"), re.compile("^zephyr"), re.compile("^boreas")])
            await expect(page.get_by_role("status")).to_have_text("3 of 3 models")
            await assert_accessible(page)

            votes = page.get_by_role("columnheader", name="Votes")
            await votes.get_by_role("button").click()
            await expect(votes).to_have_attribute("aria-sort", "descending")
            await expect(names.first).to_contain_text("zephyr")  # 50
            await votes.get_by_role("button").click()
            await expect(names.first).to_contain_text("boreas")  # 22

            await page.get_by_label("Filter").fill("AUR")
            await expect(names).to_have_count(1)
            await expect(page.get_by_role("status")).to_have_text("1 of 3 models")

            await page.get_by_label("Table").select_option("Arena")
            await expect(names).to_have_text(["GPT-4o", "Vicuna-13B", "Koala-13B"])
            await page.get_by_label("Category").focus()
            await page.get_by_label("Category").select_option("text.coding")
            await expect(names).to_have_text(["GPT-4o", "Vicuna-13B"])
            await expect(page.get_by_label("Category")).to_be_focused()
            await assert_accessible(page)
            assert await fits(page)


async def test_a_board_from_a_file_unfolds_all_it_says(browser: Browser, tmp_path: Path) -> None:
    async with staged(tmp_path) as on:
        visitors = visitors_of(None)
        built = Leaderboard(read_results(written(a_board(), tmp_path)), None)
        router = leaderboard_router(built, visitors.of, CATALOGUE, lambda _: None)
        async with opened(browser, on, visitors, [router], "/tab", BOARD) as page:
            names = page.locator(".fc-board-main tbody tr th")
            await expect(names).to_have_text([re.compile("^aurora"), re.compile("^boreas")])
            await expect(page.get_by_role("img", name="Ratings and intervals")).to_be_visible()
            closed = page.locator("details:not([open]) > summary")
            while await closed.count():
                await closed.first.click()
            await expect(page.get_by_role("img")).to_have_count(3)  # ratings; against votes and against price
            await expect(page.get_by_role("link", name="Download this board")).to_have_attribute(
                "href", "leaderboard/board.json?arena=default"
            )
            await assert_accessible(page)
            assert await page.locator("details table").evaluate_all(INSIDE)
            assert await fits(page)
            assert await page.locator(".fc-board-chart svg:visible").evaluate_all(INSIDE)

            await page.get_by_role("combobox", name="Ratings").select_option("As voted")
            await expect(names).to_have_text([re.compile("^boreas"), re.compile("^aurora")])
            await expect(page.locator("details:not([open])")).to_have_count(0)  # what was unfolded stays so
            await expect(page.get_by_role("status")).to_have_text("2 of 2 models")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_static_site_is_read_on_a_phone(
    browser: Browser, tmp_path: Path, scheme: Literal["light", "dark"]
) -> None:
    board = a_board()
    categories = {**board.categories, "maths & more": board.categories["overall"].model_copy(update={"raw": None})}
    write_site(board.model_copy(update={"categories": categories}), tmp_path, "Board")
    context = await browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page = await context.new_page()
    address = (tmp_path / "index.html").as_uri()
    await page.goto(f"{address}#maths%20%26%20more")
    try:
        await expect(page.get_by_label("Category")).to_have_value("1")
        await expect(page.get_by_role("heading", name="maths & more")).to_be_visible()
        await page.get_by_label("Category").select_option("overall")
        assert page.url == f"{address}#overall"

        await page.get_by_role("searchbox", name="Filter").fill("nobody")
        await expect(page.get_by_role("status")).to_have_text("No model matches.")
        await page.get_by_role("searchbox", name="Filter").fill("aur")
        await expect(page.get_by_role("status")).to_have_text("1 of 2 models")

        closed = page.locator("details:not([open]) > summary:visible")
        while await closed.count():
            await closed.first.click()
        await assert_accessible(page)
        assert await fits(page)
        drawn = page.locator(".fc-wide:visible, .fc-narrow:visible")
        assert await drawn.count() == 3  # ratings; against votes and against price
        assert await drawn.evaluate_all(INSIDE)
        await page.set_viewport_size({"width": 1280, "height": 800})
        assert await page.locator(".fc-wide:visible").count() == 3
        assert await page.locator(".fc-narrow:visible").count() == 0
    finally:
        await context.close()


async def test_consent_is_given_once_and_not_by_escape(browser: Browser, tmp_path: Path) -> None:
    async with staged(tmp_path, default=ArenaConfig(publishes=True)) as on:
        visitors = visitors_of(None)
        consent = consent_router(on.arena, visitors.of, CATALOGUE)
        async with opened(browser, on, visitors, [consent], "/tab", CONSENT) as page:
            dialog = page.get_by_role("dialog", name="Before you begin")
            await expect(dialog).to_be_visible()
            await assert_accessible(page)
            for _ in range(3):  # browsers let the second one through
                await page.keyboard.press("Escape")
            await expect(dialog).to_be_visible()
            for _ in range(6):
                await page.keyboard.press("Tab")
                assert await page.evaluate("document.activeElement.textContent") != "Behind"
            await expect(dialog.get_by_role("checkbox")).not_to_be_checked()
            await dialog.get_by_role("checkbox").check()
            await dialog.get_by_role("button", name="I agree to the terms").click()
            await expect(dialog).to_have_count(0)
            async with page.expect_response("**/consent?*") as asked:
                await page.reload()
            assert (await asked.value).status == 204
            given = await page.evaluate("fetch('api/arena/consent').then(answer => answer.json())")
            assert (given["is_given"], given["may_publish"]) == (True, True)
            assert await fits(page)


async def test_ones_data_can_be_deleted_from_the_page(browser: Browser, tmp_path: Path) -> None:
    async with staged(tmp_path) as on:
        visitors = visitors_of(None)
        async with opened(
            browser, on, visitors, [about_router(on.arena, visitors.of, CATALOGUE)], "/tab", ABOUT
        ) as page:
            await expect(page.get_by_role("heading", name="What a battle is")).to_be_visible()
            await assert_accessible(page)
            agreed = "fetch('api/arena/consent').then(answer => answer.json()).then(answer => answer.is_given)"
            headers = {"content-type": "application/json", "origin": page.url.removesuffix("/tab")}
            sent = await page.request.post(
                f"{headers['origin']}/api/arena/consent", data={"version": "1"}, headers=headers
            )
            assert sent.status == 204
            assert await page.evaluate(agreed)
            await page.get_by_role("button", name="Delete my data").click()
            sure = page.get_by_role("dialog")
            await expect(sure).to_be_visible()
            await assert_accessible(page)
            await sure.get_by_role("button", name="Cancel").click()
            assert await page.evaluate(agreed)
            await page.get_by_role("button", name="Delete my data").click()
            await sure.get_by_role("button", name="Delete", exact=True).click()
            await expect(page.get_by_role("status")).to_have_text("Your data has been deleted.")
            assert not await page.evaluate(agreed)
            assert await fits(page)


async def flagged(on: Stage) -> None:
    """A battle with a vote, and a moderator who objected to its question."""
    battle = await on.battle("Something <b>bad</b>")
    assert battle.vote_token is not None
    await on.arena.vote(ADA, battle.conversation_id, battle.vote_token, Outcome.BOTH_BAD)
    question = battle.turns[0].message_id
    await on.store.add_judgement(question, "words", True, {"violence": 1}, on.wall())


async def test_an_admin_sets_a_model_and_reviews_what_was_flagged(browser: Browser, tmp_path: Path) -> None:
    async with staged(tmp_path) as on:
        await flagged(on)
        visitors = visitors_of(PEOPLE)
        oversight = Oversight(on.store, Signer.load(on.folder / "log.pem").public, wall=on.wall)
        routers = [
            create_oversight_api(oversight, visitors.of),
            admin_router(visitors.of, product="FastChat", has_logins=True, style=f":root{{{PLAIN}}}"),
        ]
        async with opened(browser, on, visitors, routers, "/admin") as page:
            await page.get_by_label("Name").fill("root")
            await page.get_by_label("Password").fill(PEOPLE["root"])
            await page.get_by_role("button", name="Sign in").click()

            await expect(page.locator("#models tbody tr")).to_have_count(2)
            await expect(page.locator("#votes tbody")).to_contain_text("both bad")
            await assert_accessible(page)
            await page.get_by_label("Weight of aurora-7b").fill("0")
            await page.get_by_role("button", name="Save settings of aurora-7b").click()
            await expect(page.locator("#models tbody tr", has_text="aurora-7b")).to_contain_text("never")
            await expect(page.locator("#actions tbody tr").first).to_contain_text("aurora-7b")
            venue = on.arena.administration.models(
                Visitor("x", "y", visitors.directory.by_password("root", "toor")), "default"
            )
            assert {one.name: one.is_drawn for one in venue} == {"aurora-7b": False, "zephyr-x": True}

            await page.get_by_role("button", name=re.compile("Read conversation")).click()
            await expect(page.get_by_role("dialog")).to_contain_text("Something <b>bad</b>")
            await page.get_by_role("button", name="Close").click()
            await page.get_by_role("button", name=re.compile("Note as reviewed")).click()
            await expect(page.locator("#flags tbody")).to_contain_text("Nothing was flagged.")
            await page.get_by_label("show those that were reviewed").check()
            await expect(page.locator("#flags tbody tr").first).to_contain_text("root")

            await page.get_by_role("button", name="Check the log of votes").click()
            await expect(page.locator("#audit-told")).to_have_text("The log is as it was signed: 1 votes, 1 heads.")
            assert await fits(page)
