"""The page in a browser, in the words of a reader: ask, stop, vote, see."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response, expect

from fastchat.web.models import version_of
from fastchat.web.texts import Catalogue, Texts
from tests.web.fake_api import FakeApi

PATIENCE_MS = 15_000  # for machines that do other things at the same time
expect.set_options(timeout=PATIENCE_MS)

View = Literal["direct", "battle", "side_by_side"]
CATALOGUE = Catalogue.load()
ENGLISH = CATALOGUE.of("en")


@dataclass
class OpenPage:
    page: Page
    url: str
    view: View = "direct"
    say: Texts = ENGLISH  # in the language of its reader
    strangers: list[str] = field(default_factory=list)  # requests that went elsewhere
    complaints: list[str] = field(default_factory=list)  # errors in the console
    responses: list[Response] = field(default_factory=list)

    @property
    def tab(self) -> Locator:
        return self.page.locator(f"#fc-tab-{self.view}")

    def pane(self, letter: str) -> Locator:
        return self.tab.locator(".fc-pane").nth("AB".index(letter))

    @property
    def rows(self) -> Locator:
        """The log of the left pane, row by row: questions, and the parts of answers."""
        return self.rows_of("A")

    def rows_of(self, letter: str) -> Locator:
        return self.pane(letter).locator(".message-row")

    @property
    def facts(self) -> Locator:
        return self.tab.locator(".fc-facts").last

    @property
    def failure(self) -> Locator:
        return self.tab.locator(".fc-failure").last

    @property
    def notice(self) -> Locator:
        return self.tab.locator(".block.fc-notice")

    @property
    def told(self) -> Locator:
        return self.tab.locator(".block.fc-told")

    @property
    def ballot(self) -> Locator:
        return self.tab.locator(".fc-ballot")

    @property
    def model(self) -> Locator:
        return self.picker("Model")

    def picker(self, name: str) -> Locator:
        return self.tab.get_by_role("combobox", name=name, exact=True)

    @property
    def box(self) -> Locator:
        return self.tab.get_by_role("textbox", name=self.say("message"), exact=True)

    @property
    def history(self) -> Locator:
        return self.page.locator("#fc-history li")

    def button(self, name: str) -> Locator:
        return self.tab.get_by_role("button", name=name, exact=True)

    @property
    def new(self) -> Locator:
        return self.button(self.say("new_chat" if self.view == "direct" else "new_round"))

    async def ask(self, text: str) -> None:
        await self.box.fill(text)
        await self.button(self.say("send")).click()

    async def ask_and_wait(self, text: str) -> None:
        await self.ask(text)
        if self.view == "battle":
            await expect(self.ballot).to_be_visible()
        else:
            await expect(self.rows.last.locator(".fc-facts")).to_be_visible()
        await expect(self.button(self.say("send"))).to_be_visible()

    def assert_clean(self) -> None:
        assert self.strangers == []
        assert self.complaints == []


async def open_in(
    context: BrowserContext,
    url: str,
    view: View = "direct",
    *,
    query: str = "",
    models: FakeApi | None = None,
    of: tuple[str, ...] = (),
    say: Texts = ENGLISH,
) -> OpenPage:
    """A new tab with the page, ready to be used. `models` are made to be these before."""
    context.set_default_timeout(PATIENCE_MS)
    if models is not None:
        models.models = list(of)
    opened = OpenPage(await context.new_page(), url, view, say)
    opened.page.on("request", lambda request: _note_stranger(opened, request.url))
    opened.page.on("response", lambda response: opened.responses.append(response))
    opened.page.on("console", lambda message: _note_complaint(opened, message))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    await agree(context, url)
    if of:
        await until_known(context, url, of)
    await opened.page.goto(f"{url}?view={view}{query}")
    if view == "battle":
        await expect(opened.box).to_be_visible()
        await expect(opened.notice).to_be_hidden()
    else:
        await expect(opened.tab.get_by_role("combobox").first).not_to_have_value("")
    return opened


async def until_known(context: BrowserContext, url: str, names: Sequence[str]) -> None:
    """The server looks for models now and then, and a battle that begins before has nobody to draw from.

    It is asked what open pages ask, which tells no name.
    """
    async with asyncio.timeout(PATIENCE_MS / 1000):
        while version_of(names) not in await (await context.request.get(f"{url}/models-version")).text():
            await asyncio.sleep(0.05)


async def agree(context: BrowserContext, url: str) -> None:
    """To the terms of the arena at this address, before anybody asks; once for each window."""
    arena = url.partition("/a/")[2].strip("/") or "default"
    consent = f"{url}/api/arena/consent"
    asked = await (await context.request.get(consent, params={"arena": arena})).json()
    if not asked["is_given"]:
        given = {"arena": arena, "version": asked["version"], "may_publish": False}
        await context.request.post(consent, data=given)


@asynccontextmanager
async def open_page(
    browser: Browser,
    url: str,
    view: View = "direct",
    *,
    width: int = 1280,
    height: int = 800,
    dark: bool = False,
    models: FakeApi | None = None,
    of: tuple[str, ...] = (),
) -> AsyncIterator[OpenPage]:
    """A browser that has never been here."""
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    try:
        yield await open_in(context, url, view, models=models, of=of)
    finally:
        await context.close()


def _note_stranger(opened: OpenPage, url: str) -> None:
    if not url.startswith((opened.url.partition("/a/")[0], "data:", "blob:")):
        opened.strangers.append(url)


def _note_complaint(opened: OpenPage, message: ConsoleMessage) -> None:
    if message.type == "error":
        opened.complaints.append(message.text)
