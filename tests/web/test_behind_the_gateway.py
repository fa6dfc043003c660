"""The page as `fastchat up` shows it: a process of its own, fronted by the gateway at `/`."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from fastchat.web.settings import Pace
from tests.web.fake_api import FakeApi
from tests.web.pages import open_page
from tests.web.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(scope="module")
def gateway(web: Server) -> Iterator[Server]:
    with Server("api", "--web-url", web.url, "--controller-address", "http://127.0.0.1:9") as gateway:
        yield gateway


async def test_an_answer_streams_through_the_gateway(browser: Browser, gateway: Server, site: FakeApi) -> None:
    site.held_after = 2
    async with open_page(browser, gateway.url) as page:
        await page.ask("Hi")
        await expect(page.rows.nth(1)).to_have_text("Hello from")
        site.go_on.set()
        await expect(page.rows.nth(1)).to_have_text("Hello from the fake API.")
        page.assert_clean()


async def test_metrics_which_could_tell_who_answers_are_not_for_strangers(gateway: Server) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{gateway.url}/metrics") as here:
            assert here.status == 200
        async with session.get(f"{gateway.url}/metrics", headers={"x-forwarded-for": "203.0.113.5"}) as elsewhere:
            assert elsewhere.status == 403


async def test_open_pages_do_not_keep_the_page_server_from_stopping(browser: Browser, site: FakeApi) -> None:
    """They hold connections open for as long as they are open."""
    with Server("web", "--api-url", site.url) as web:
        async with open_page(browser, web.url):
            told_at = time.monotonic()
            assert await asyncio.to_thread(web.stop) == 0
    assert time.monotonic() - told_at < Pace().drain_s
