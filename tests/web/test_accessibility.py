"""What axe finds, in light and in dark, on every view: nothing serious, nothing critical."""

import re

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from tests.web.fake_api import FakeApi
from tests.web.pages import OpenPage, View, open_page
from tests.web.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ANSWER = [
    "Some **bold** text and `code`.\n\n",
    "```python\nif x:\n    pass\n```\n\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("view", ["battle", "side_by_side", "direct"])
async def test_axe_finds_nothing_serious(browser: Browser, web: Server, site: FakeApi, view: View, dark: bool) -> None:
    site.thoughts, site.pieces = ["Hm."], ANSWER
    models = ("osprey-7b", "plover-9b")
    async with open_page(browser, web.url, view, dark=dark, models=site, of=models) as page:
        assert await serious(page) == []
        await page.button("Parameters").click()
        await page.ask_and_wait("Hi")
        assert await serious(page) == []
        if view != "direct":
            await page.page.keyboard.press("1")
            await expect(page.told).to_contain_text("You chose A.")
        await page.button("Share").click()
        await expect(page.tab.locator(".fc-shared")).to_be_visible()
        assert await serious(page) == []
        await page.page.goto(await page.tab.locator(".fc-shared").evaluate("link => link.href"))
        assert await serious(page) == []


async def serious(page: OpenPage) -> list[str]:
    found = await Axe().run(page.page)
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for violation in found.response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("view", ["battle", "direct"])
async def test_every_control_has_a_name(browser: Browser, web: Server, site: FakeApi, view: View) -> None:
    site.thoughts, site.pieces = ["Hm."], ["```python\npass\n```"]
    async with open_page(browser, web.url, view, models=site, of=("osprey-7b", "plover-9b")) as page:
        await page.button("Parameters").click()
        await page.button("Request as curl").click()
        assert await nameless(page) == []
        await page.ask_and_wait("Hi")
        assert await nameless(page) == []


async def nameless(page: OpenPage) -> list[str]:
    """Controls that a screen reader would announce without saying what they are."""
    tree = await page.page.locator("body").aria_snapshot()
    controls = "button|link|textbox|combobox|slider|spinbutton|checkbox"
    return [line for line in tree.splitlines() if re.match(rf"\s*- ({controls})(:| \[|$)", line)]


async def test_answers_are_announced_politely(browser: Browser, web: Server, site: FakeApi) -> None:
    async with open_page(browser, web.url) as page:
        await page.ask_and_wait("Hi")
        await expect(page.tab.get_by_role("log", name="Chat")).to_have_attribute("aria-live", "polite")
        await expect(page.page.get_by_role("heading", level=1)).to_have_text("FastChat")
