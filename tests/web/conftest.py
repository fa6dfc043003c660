"""A page, the API behind it and a browser in front of it: all real, all on loopback."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from tests.web.fake_api import FakeApi, fake_api
from tests.web.pages import OpenPage, open_in
from tests.web.server import Server

CHROMIUM_FLAGS = (
    "--no-sandbox --headless --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)

# Tests ask faster than people, and one voter asks for all of them.
FRENCH = "/a/french"
ARENAS = """
default: {integrity: &none {turns_per_minute: null, votes_per_day: null, dwell_s: 0}}
french: {language: fr, questions: questions.jsonl, integrity: *none}
legal: {language: de, modes: [battle, direct], look: {name: Example Legal GmbH, accent: "#9a3412"}, integrity: *none}
"""


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


@pytest.fixture(scope="session")
def shared_api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


@pytest.fixture(scope="session")
def arenas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("arenas") / "arenas.yaml"
    file.write_text(ARENAS)
    (file.parent / "questions.jsonl").write_text('{"text": "Qu\'est-ce qu\'un héron ?"}\n')
    return file


@pytest.fixture(scope="session")
def web(shared_api: FakeApi, arenas: Path) -> Iterator[Server]:
    """One page process for all browser tests; Gradio takes seconds to start."""
    with Server("web", "--arena", "--api-url", shared_api.url, "--arenas", str(arenas)) as web:
        yield web


@pytest.fixture
def site(shared_api: FakeApi, web: Server) -> FakeApi:
    """The API behind the shared page, as if new."""
    shared_api.reset()
    return shared_api


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("FASTCHAT_SKIP_BROWSER") == "1":
            pytest.skip("FASTCHAT_SKIP_BROWSER=1 and there is no chromium")
        pytest.fail("Browser tests need Chromium: apt-get install chromium, or set FASTCHAT_SKIP_BROWSER=1.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS.split())
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def desktop(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A window whose cache all tests share, and its voter; what a tab has open, it knows alone."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(desktop: BrowserContext, web: Server, site: FakeApi) -> AsyncIterator[OpenPage]:
    """A tab with the chat open. Afterwards: it called nobody else and complained of nothing."""
    page = await open_in(desktop, web.url)
    # The page process may still show what the last test's API served.
    await expect(page.model).to_have_value(site.models[0])
    yield page
    await page.page.close()
    page.assert_clean()


@pytest_asyncio.fixture(loop_scope="session")
async def battle(desktop: BrowserContext, web: Server, site: FakeApi) -> AsyncIterator[OpenPage]:
    """The same with a battle between two."""
    page = await open_in(desktop, web.url, "battle", models=site, of=("osprey-7b", "plover-9b"))
    yield page
    await page.page.close()
    page.assert_clean()
