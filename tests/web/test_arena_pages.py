"""What stands beside a battle, on the real page in a real browser: leaderboard, about, consent, a named arena."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.web.fake_api import FakeApi
from tests.web.pages import PATIENCE_MS, OpenPage, agree, open_in
from tests.web.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@asynccontextmanager
async def newcomer(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    try:
        yield context
    finally:
        await context.close()


async def opened(context: BrowserContext, url: str) -> Page:
    page = await context.new_page()
    await page.goto(url)
    return page


async def assert_accessible(page: Page) -> None:
    found = await Axe().run(page)
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == [], [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious]


async def vote(battle: OpenPage, text: str, key: str) -> None:
    await battle.ask_and_wait(text)
    await battle.page.keyboard.press(key)
    await expect(battle.ballot).to_be_hidden()


def tab_of(page: Page, name: str) -> Locator:
    return page.get_by_role("tab", name=name, exact=True)


async def test_a_newcomer_is_asked_once(browser: Browser, web: Server, site: FakeApi) -> None:
    async with newcomer(browser) as context:
        page = await opened(context, web.url)
        dialog = page.get_by_role("dialog", name="Before you begin")
        await expect(dialog).to_be_visible()
        await expect(page.get_by_role("textbox", name="Message", exact=True).first).to_be_attached()
        await assert_accessible(page)
        await dialog.get_by_role("button", name="I agree to the terms").click()
        await expect(dialog).to_have_count(0)
        async with page.expect_response("**/consent?*") as asked:
            await page.reload()
        assert (await asked.value).status == 204


@pytest.mark.parametrize(("query", "tab"), [("?leaderboard", "Leaderboard"), ("?about", "About")])
async def test_fastchats_addresses_lead_to_the_tabs(
    desktop: BrowserContext, web: Server, site: FakeApi, query: str, tab: str
) -> None:
    await agree(desktop, web.url)
    page = await opened(desktop, web.url + query)
    await expect(tab_of(page, tab)).to_have_attribute("aria-selected", "true")
    heading = {"Leaderboard": "This arena", "About": "What a battle is"}[tab]
    await expect(page.get_by_role("heading", name=heading)).to_be_visible()
    await assert_accessible(page)
    await page.close()


@pytest.mark.parametrize(("query", "tab"), [("?leaderboard", "Leaderboard"), ("?about", "About"), ("", "Battle")])
async def test_on_a_phone_the_tab_that_is_open_is_seen(
    browser: Browser, web: Server, site: FakeApi, query: str, tab: str
) -> None:
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    try:
        await agree(context, web.url)
        page = await opened(context, web.url + query)
        shown = tab_of(page, tab)
        await expect(shown).to_have_attribute("aria-selected", "true")
        await expect(shown).to_be_in_viewport(ratio=1)
        is_on_top = "tab => tab.contains(document.elementFromPoint(tab.getBoundingClientRect().right - 4, 20))"
        await page.wait_for_function(is_on_top, arg=await shown.element_handle())  # once it has been scrolled there
        await expect(page.get_by_text("undefined", exact=True)).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    finally:
        await context.close()


async def test_an_open_leaderboard_follows_the_votes(desktop: BrowserContext, web: Server, battle: OpenPage) -> None:
    await vote(battle, "First?", "1")
    board = await opened(desktop, f"{web.url}?leaderboard")
    names = board.locator(".fc-board-main tbody tr:visible th")
    await expect(names.first).to_be_visible()
    await expect(board.get_by_role("img", name="Ratings and intervals")).to_be_visible()
    await board.get_by_label("Filter").fill("osprey")
    await board.get_by_role("columnheader", name="Votes").get_by_role("button").click()
    await expect(names).to_have_count(1)
    await board.get_by_text("Who beats whom", exact=True).click()
    heat_map = board.get_by_role("img", name="Who beats whom")
    await expect(heat_map).to_be_visible()
    votes = board.locator(".fc-board-main tbody tr:visible td").nth(3)
    before = int(await votes.inner_text())
    await battle.new.click()
    await vote(battle, "Second?", "3")
    await expect(votes).to_have_text(str(before + 1), timeout=5_000)
    await expect(board.get_by_label("Filter")).to_have_value("osprey")
    await expect(names).to_have_count(1)
    await expect(board.get_by_role("columnheader", name="Votes")).to_have_attribute("aria-sort", "descending")
    await expect(heat_map).to_contain_text(f"of {before + 1} votes")
    await board.close()


async def test_a_named_arena_has_its_language_its_look_and_its_history(
    browser: Browser, web: Server, site: FakeApi
) -> None:
    site.models = ["osprey-7b", "plover-9b"]
    async with newcomer(browser) as context:
        await agree(context, web.url)
        await agree(context, f"{web.url}/a/legal")
        theirs = await opened(context, f"{web.url}/a/legal/")
        called = []
        theirs.on("request", lambda request: called.append(request.url))
        await expect(theirs.get_by_role("heading", name="Example Legal GmbH", level=1)).to_be_visible()
        assert await theirs.title() == "Example Legal GmbH"
        await expect(theirs.get_by_role("tab")).to_have_text(["Duell", "Chat", "Rangliste", "Über"])
        name, first = theirs.locator("#fc-brand h1 span"), tab_of(theirs, "Duell")
        boxes = [await name.bounding_box(), await first.bounding_box()]
        assert boxes[0] is not None
        assert boxes[1] is not None
        assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
        await expect(theirs.locator("#fc-battle-new")).to_be_visible()
        await assert_accessible(theirs)

        box = theirs.locator("#fc-battle-composer textarea")
        await box.fill("Wer zahlt?")
        await box.press("Enter")
        await expect(theirs.locator("#fc-battle-vote-1")).to_be_visible()
        await theirs.keyboard.press("1")
        await expect(theirs.locator("#fc-history li")).to_have_count(1)
        await theirs.reload()
        await expect(theirs.locator("#fc-history li")).to_have_count(1)
        await theirs.locator("#fc-battle-share").click()
        async with context.expect_page() as shown:
            await theirs.locator(".fc-shared").click()
        shared = await shown.value
        await expect(shared.get_by_role("heading", name="Wer zahlt?")).to_be_visible()
        assert all(url.startswith((web.url, "data:", "blob:")) for url in called)

        ours = await open_in(context, web.url)
        await expect(ours.page.locator("#fc-history li")).to_have_count(0)


async def test_in_a_frame_the_page_around_has_the_name(browser: Browser, web: Server, site: FakeApi) -> None:
    async with newcomer(browser) as context:
        await agree(context, f"{web.url}/a/legal")
        page = await opened(context, f"{web.url}/a/legal/?embed=1")
        await expect(tab_of(page, "Duell")).to_be_visible()
        await expect(page.locator("#fc-side")).to_be_hidden()
        await expect(page.locator("#fc-side-toggle")).to_be_hidden()
        await assert_accessible(page)
