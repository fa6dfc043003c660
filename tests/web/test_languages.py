"""The page in its reader's language: what Gradio shows, what Python says, what only a screen reader hears."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, expect

from tests.web.conftest import FRENCH
from tests.web.fake_api import Failure, FakeApi
from tests.web.pages import CATALOGUE, OpenPage, View, open_in
from tests.web.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NAMES = ("osprey-7b", "plover-9b")

# All that a reader sees or hears: texts in sight, names, hints.
SAID = """() => {
  const said = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walker.currentNode; node; node = walker.nextNode()) {
    const element = node.nodeType === Node.TEXT_NODE ? node.parentElement : node;
    if (!element.checkVisibility() || element.closest("script, style, [lang]:not(html)")) continue;
    if (node === element) {
      for (const name of ["aria-label", "title", "placeholder", "alt"]) said.push(node.getAttribute(name) ?? "");
    } else said.push(node.textContent);
  }
  return [...new Set(said.map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean))];
}"""


@asynccontextmanager
async def opened(
    browser: Browser, url: str, site: FakeApi, locale: str, view: View = "battle", *, width: int = 1280
) -> AsyncIterator[OpenPage]:
    """A browser of somebody who reads that language."""
    context = await browser.new_context(locale=locale, viewport={"width": width, "height": 844})
    try:
        say = CATALOGUE.best(locale, fixed="fr" if url.endswith(FRENCH) else None)
        yield await open_in(context, url, view, models=site, of=NAMES, say=say)
    finally:
        await context.close()


@pytest.mark.parametrize(("locale", "language"), [("de-AT", "de"), ("ja-JP", "ja")])
async def test_a_battle_is_in_the_browsers_language(
    browser: Browser, web: Server, site: FakeApi, locale: str, language: str
) -> None:
    async with opened(browser, web.url, site, locale) as page:
        say = page.say
        await expect(page.page.locator("html")).to_have_attribute("lang", language)
        await expect(page.tab.get_by_role("heading", name=say("welcome_battle_title"))).to_be_visible()
        await page.ask_and_wait("Hi")
        for outcome in ("leftvote", "rightvote", "tievote", "bothbad_vote"):
            await expect(page.button(say(f"vote_{outcome}"))).to_be_visible()
        await page.ballot.get_by_text(say("reason_clear"), exact=True).click()
        await page.button(say("vote_tievote")).click()
        await expect(page.told).to_contain_text(say("voted_tievote"))
        first_token = say("fact_first_token", seconds="#").partition("#")[0]
        await expect(page.facts).to_contain_text(first_token)
        site.failure = Failure(429, "queue_full", headers={"retry-after": "7"})
        await page.ask("Still there?")
        await expect(page.failure).to_contain_text(say("failure_busy"))
        page.assert_clean()


async def test_an_arenas_language_wins_over_the_browsers(browser: Browser, web: Server, site: FakeApi) -> None:
    async with opened(browser, web.url + FRENCH, site, "de-DE") as page:
        await expect(page.page.locator("html")).to_have_attribute("lang", "fr")
        await page.ask_and_wait("Hi")
        await expect(page.button("Régénérer").first).to_be_visible()  # Gradio's own
        await page.page.keyboard.press("1")
        await expect(page.told).to_contain_text("Vous avez choisi A.")
        assert untranslated(await page.page.evaluate(SAID), "fr") == []


@pytest.mark.parametrize("view", ["battle", "side_by_side", "direct"])
async def test_nothing_is_left_in_english(browser: Browser, web: Server, site: FakeApi, view: View) -> None:
    site.thoughts, site.pieces = ["Hm."], ["```python\npass\n```"]
    async with opened(browser, web.url, site, "de-DE", view) as page:
        said = set(await page.page.evaluate(SAID))
        assert {"Anfrage als curl", "Teilen", "Senden", "Gespräche", "Nachricht"} <= said  # the walk finds something
        await page.button("Teilen").click()
        await expect(page.told).to_be_visible()
        said |= set(await page.page.evaluate(SAID))
        await page.button("Parameter").click()
        await page.button("Anfrage als curl").click()
        await page.ask_and_wait("Hallo")
        await page.rows.first.hover()
        said |= set(await page.page.evaluate(SAID))
        if view == "direct":
            await page.button("Gefällt mir").first.click()
            await expect(page.button("Gefällt dir").first).to_be_visible()
            said |= set(await page.page.evaluate(SAID))
        else:
            await page.page.keyboard.press("4")
            await expect(page.told).to_contain_text("Du fandest beide schlecht.")
            said |= set(await page.page.evaluate(SAID))
        site.models = []
        await expect(page.notice).to_contain_text("Im Moment läuft kein Modell")
        said |= set(await page.page.evaluate(SAID))
        assert untranslated(said, "de") == []
        assert strange(said) == []


def untranslated(said: set[str] | list[str], language: str) -> list[str]:
    """English texts of ours that the language has another text for, whole or as the beginning of something."""
    english, other = CATALOGUE.of("en").strings, CATALOGUE.of(language).strings
    patterns = [
        re.compile(r".+".join(map(re.escape, re.split(r"\{\w+\}", text))))
        for key, text in english.items()
        if other[key] != text and text not in other.values()
    ]
    return sorted(text for text in said if any(pattern.fullmatch(text) for pattern in patterns))


GRADIO = re.compile(r"\b(the|input|field|message|conversation|button|upload|retry|submit|remove|reset|close)\b", re.I)


def strange(said: set[str]) -> list[str]:
    """What Gradio says by itself: English words that no German text of ours holds."""
    return sorted(text for text in said if GRADIO.search(text))


@pytest.mark.parametrize("locale", ["de-DE", "fr-FR", "es-ES"])
async def test_long_words_fit_on_a_phone(browser: Browser, web: Server, site: FakeApi, locale: str) -> None:
    async with opened(browser, web.url, site, locale, width=390) as page:
        assert await fits(page)
        await page.ask_and_wait("Hi")
        await page.button(page.say("parameters")).click()
        assert await fits(page)
        boxes = [await button.bounding_box() for button in await page.tab.locator(".fc-vote").all()]
        assert all(box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        clipped = "votes => votes.filter(vote => vote.scrollWidth > vote.clientWidth).length"
        assert await page.tab.locator(".fc-vote").evaluate_all(clipped) == 0
        await page.page.keyboard.press("2")
        await expect(page.told).to_be_visible()
        assert await fits(page)


async def fits(page: OpenPage) -> bool:
    return bool(await page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def test_an_arenas_own_question_is_drawn_and_asked(browser: Browser, web: Server, site: FakeApi) -> None:
    async with opened(browser, web.url + FRENCH, site, "fr-FR") as page:
        await page.button("Tirer une question").click()
        await expect(page.ballot).to_be_visible()
        await expect(page.rows.first).to_have_text("Qu'est-ce qu'un héron ?")
        assert page.complaints == []


async def test_where_there_are_no_questions_none_is_drawn(battle: OpenPage) -> None:
    await expect(battle.tab.locator(".fc-example")).to_have_count(4)
    await expect(battle.tab.locator(".fc-draw")).to_have_count(0)
