"""The page in a browser, in the words of a reader: ask, stop, see."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

PATIENCE_MS = 15_000  # for machines that do other things at the same time
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class OpenPage:
    page: Page
    url: str
    strangers: list[str] = field(default_factory=list)  # requests that went elsewhere
    complaints: list[str] = field(default_factory=list)  # errors in the console

    @property
    def rows(self) -> Locator:
        """The log, row by row: questions, and the parts of answers."""
        return self.page.locator("#fc-log .message-row")

    @property
    def facts(self) -> Locator:
        return self.page.locator(".fc-facts").last

    @property
    def failure(self) -> Locator:
        return self.page.locator(".fc-failure").last

    @property
    def notice(self) -> Locator:
        return self.page.locator("#fc-notice")

    @property
    def model(self) -> Locator:
        return self.page.get_by_role("combobox", name="Model")

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message", exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def ask(self, text: str) -> None:
        await self.box.fill(text)
        await self.button("Send").click()

    async def ask_and_wait(self, text: str) -> None:
        await self.ask(text)
        await expect(self.rows.last.locator(".fc-facts")).to_be_visible()
        await expect(self.button("Send")).to_be_visible()

    def assert_clean(self) -> None:
        assert self.strangers == []
        assert self.complaints == []


async def open_in(context: BrowserContext, url: str) -> OpenPage:
    """A new tab with the page, ready to be used."""
    context.set_default_timeout(PATIENCE_MS)
    opened = OpenPage(await context.new_page(), url)
    opened.page.on("request", lambda request: _note_stranger(opened, request.url))
    opened.page.on("console", lambda message: _note_complaint(opened, message))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    await opened.page.goto(url)
    await expect(opened.model).not_to_have_value("")
    return opened


@asynccontextmanager
async def open_page(
    browser: Browser, url: str, *, width: int = 1280, height: int = 800, dark: bool = False
) -> AsyncIterator[OpenPage]:
    """A browser that has never been here."""
    scheme: Literal["dark", "light"] = "dark" if dark else "light"
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    try:
        yield await open_in(context, url)
    finally:
        await context.close()


def _note_stranger(opened: OpenPage, url: str) -> None:
    if not url.startswith((opened.url, "data:", "blob:")):
        opened.strangers.append(url)


def _note_complaint(opened: OpenPage, message: ConsoleMessage) -> None:
    if message.type == "error":
        opened.complaints.append(message.text)
