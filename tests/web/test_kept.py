"""What a reader finds again: after a reload, in the list, by a link. In a real browser."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.web.fake_api import FakeApi
from tests.web.pages import OpenPage, open_in, open_page
from tests.web.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def reader(browser: Browser, web: Server, site: FakeApi) -> AsyncIterator[OpenPage]:
    """Somebody who has never been here."""
    async with open_page(browser, web.url) as page:
        yield page


async def test_a_reload_shows_the_conversation_that_was_open(reader: OpenPage, site: FakeApi) -> None:
    await reader.ask_and_wait("one?")
    await reader.page.reload()
    await expect(reader.rows.nth(0)).to_have_text("one?")
    await expect(reader.rows.nth(1)).to_have_text("Hello from the fake API.")
    await reader.ask("two?")
    await expect(reader.rows.nth(5)).to_contain_text("5 tokens")
    assert [message["content"] for message in site.requests[-1]["messages"]] == [
        "one?", "Hello from the fake API.", "two?",
    ]  # fmt: skip


async def test_the_list_leads_back_and_so_do_the_browsers_arrows(reader: OpenPage) -> None:
    await reader.ask_and_wait("one?")
    await reader.new.click()
    await reader.ask_and_wait("two?")
    await expect(reader.history).to_have_count(2)
    await reader.history.get_by_role("link", name="one?").click()
    await expect(reader.rows.first).to_have_text("one?")
    await reader.page.go_back()
    await expect(reader.rows.first).to_have_text("two?")


async def test_a_conversation_opens_in_the_view_it_belongs_to(reader: OpenPage, site: FakeApi) -> None:
    await reader.ask_and_wait("alone?")
    site.models = ["osprey-7b", "plover-9b"]
    battle = await open_in(reader.page.context, reader.url, "battle")
    await battle.history.get_by_role("link", name="alone?").click()
    await expect(OpenPage(battle.page, reader.url).rows.first).to_have_text("alone?")


async def test_the_list_can_be_searched(reader: OpenPage) -> None:
    await reader.ask_and_wait("About herons")
    await reader.new.click()
    await reader.ask_and_wait("About wrens")
    await expect(reader.history).to_have_count(2)
    await reader.page.get_by_role("textbox", name="Search").fill("heron")
    await expect(reader.history).to_have_count(1)
    await expect(reader.history).to_contain_text("About herons")
    await reader.page.get_by_role("textbox", name="Search").fill("ostrich")
    await expect(reader.page.locator("#fc-history")).to_contain_text("Nothing found")


async def test_a_conversation_can_be_renamed(reader: OpenPage) -> None:
    await reader.ask_and_wait("one?")
    await reader.page.get_by_role("button", name="Rename: one?").click()
    await reader.page.get_by_role("textbox", name="Title").fill("{{1+1}} <b>${2+2}</b>")
    await reader.page.keyboard.press("Enter")
    await expect(reader.history.get_by_role("link")).to_have_text("{{1+1}} <b>${2+2}</b>")
    await reader.page.reload()
    await expect(reader.history.get_by_role("link")).to_have_text("{{1+1}} <b>${2+2}</b>")


async def test_a_conversation_can_be_deleted(reader: OpenPage) -> None:
    await reader.ask_and_wait("one?")
    address = reader.page.url
    reader.page.on("dialog", lambda dialog: dialog.accept())
    await reader.page.get_by_role("button", name="Delete: one?").click()
    await expect(reader.history).to_have_count(0)
    await expect(reader.rows).to_have_count(0)
    await reader.page.goto(address)
    await expect(reader.told).to_contain_text("no such conversation")


async def test_what_is_kept_is_kept_for_its_reader_alone(reader: OpenPage, browser: Browser, web: Server) -> None:
    await reader.ask_and_wait("A secret")
    async with open_page(browser, web.url) as stranger:
        await expect(stranger.history).to_have_count(0)
        await stranger.page.goto(reader.page.url)
        await expect(stranger.told).to_contain_text("no such conversation")
        await expect(stranger.rows).to_have_count(0)


async def test_a_link_shows_the_conversation_to_anybody(reader: OpenPage, site: FakeApi) -> None:
    site.pieces = ["**Bold** <script>alert(1)</script> ![](http://127.0.0.1:9/a.png)\n\n| a |\n|---|\n| 1 |\n"]
    await reader.ask_and_wait("<i>Who?</i>")
    await reader.button("Share").click()
    link = reader.tab.locator(".fc-shared")
    address = await link.evaluate("link => link.href")
    async with httpx.AsyncClient() as stranger:
        reply = await stranger.get(address)
    assert reply.status_code == 200
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "script-src" not in reply.headers["content-security-policy"]
    assert "<strong>Bold</strong>" in reply.text
    assert "<table>" in reply.text
    assert "&lt;i&gt;Who?&lt;/i&gt;" in reply.text
    for tag in ("<script", "<img"):
        assert tag not in reply.text


async def test_there_is_nothing_to_share_before_the_vote(browser: Browser, web: Server, site: FakeApi) -> None:
    async with open_page(browser, web.url, "battle", models=site, of=("osprey-7b", "plover-9b")) as page:
        await page.button("Share").click()
        await expect(page.told).to_contain_text("nothing to share yet")
        await page.ask_and_wait("Hi")
        await page.button("Share").click()
        await expect(page.told).to_contain_text(re.compile("vote", re.IGNORECASE))
        await page.page.keyboard.press("1")
        await expect(page.told).to_contain_text("You chose A.")
        await page.button("Share").click()
        await expect(page.tab.locator(".fc-shared")).to_be_visible()


async def test_a_thumb_is_still_there_after_a_reload(reader: OpenPage) -> None:
    await reader.ask_and_wait("Hi")
    await reader.tab.get_by_role("button", name="Like", exact=True).first.click()
    await expect(reader.tab.get_by_role("button", name="Liked").first).to_be_visible()
    await reader.page.reload()
    await expect(reader.tab.get_by_role("button", name="Liked").first).to_be_visible()
