"""Battles and models side by side as a reader meets them, in a real browser."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.web.fake_api import FakeApi
from tests.web.pages import OpenPage, open_in, open_page
from tests.web.recorder import recorded
from tests.web.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NAMES = ("osprey-7b", "plover-9b")
SOON_MS = 5000


def names_in(content: bytes) -> list[str]:
    return [name for name in NAMES if name.encode() in content]


async def test_names_are_nowhere_before_the_vote_and_there_after_it(
    browser: Browser, web: Server, site: FakeApi
) -> None:
    """In the page, and in every byte that came over the network."""
    site.thoughts = ["Let me think."]
    async with (
        recorded(web.url) as recorder,
        open_page(browser, recorder.url, "battle", models=site, of=NAMES) as page,
    ):
        await page.ask_and_wait("Who is there?")
        assert b"Let me think." in recorder.sent  # the recorder can read what is said
        assert names_in(recorder.sent) == []
        assert names_in((await page.page.content()).encode()) == []
        await page.button("A is better").click()
        await expect(page.told).to_contain_text("You chose A.")
        shown = [await page.pane(letter).locator(".fc-name").inner_text() for letter in "AB"]
        assert sorted(shown) == list(NAMES)
        await expect(page.pane("A").locator(".fc-winner")).to_be_visible()
        await expect(page.rows_of("B").last).to_contain_text(re.compile(rf"{shown[1]} · .*tokens.*first token"))
        await expect(page.ballot).to_be_hidden()
        assert names_in(recorder.sent) == list(NAMES)
        page.assert_clean()


async def test_both_answers_stream_and_can_be_stopped(battle: OpenPage, site: FakeApi) -> None:
    site.held_after = 2
    await battle.ask("Hi")
    for letter in "AB":
        await expect(battle.rows_of(letter).nth(1)).to_have_text("Hello from")
    await expect(battle.ballot).to_be_hidden()
    await battle.button("Stop").click()
    await expect(battle.button("Send")).to_be_visible()
    for letter in "AB":
        await expect(battle.rows_of(letter).last).to_have_text("stopped")
    await expect(battle.ballot).to_be_hidden()  # what was cut off cannot be judged


@pytest.mark.parametrize(
    ("key", "said"),
    [("1", "You chose A."), ("2", "You chose B."), ("3", "You called it a tie."), ("4", "You found both bad.")],
)
async def test_a_battle_takes_one_question_and_one_key(battle: OpenPage, key: str, said: str) -> None:
    await battle.box.fill("Hi")
    await battle.box.press("Enter")
    await expect(battle.ballot).to_be_visible()
    await battle.page.keyboard.press(key)
    await expect(battle.told).to_contain_text(said)


async def test_keys_are_letters_while_somebody_writes(battle: OpenPage) -> None:
    await battle.ask_and_wait("Hi")
    await battle.page.keyboard.press("/")
    await expect(battle.box).to_be_focused()
    await battle.box.press_sequentially("n1 / 2")
    await expect(battle.box).to_have_value("n1 / 2")
    await expect(battle.ballot).to_be_visible()
    await expect(battle.rows.first).to_have_text("Hi")


async def test_n_begins_a_new_round(battle: OpenPage) -> None:
    await battle.ask_and_wait("Hi")
    await battle.page.keyboard.press("n")
    await expect(battle.rows).to_have_count(0)
    await expect(battle.tab.get_by_role("heading", name="Two models, no names")).to_be_visible()


async def test_reasons_can_be_given_with_the_vote(battle: OpenPage) -> None:
    await battle.ask_and_wait("Hi")
    await battle.ballot.get_by_text("Clear", exact=True).click()
    await battle.button("Tie").click()
    await expect(battle.told).to_contain_text("You called it a tie.")


async def test_regenerating_brings_two_other_answers(battle: OpenPage, site: FakeApi) -> None:
    await battle.ask_and_wait("Hi")
    site.pieces = ["Another."]
    await battle.button("Regenerate").first.click()
    for letter in "AB":
        await expect(battle.rows_of(letter).nth(1)).to_have_text("Another.")
    await expect(battle.ballot).to_be_visible()


async def test_the_last_question_can_be_edited(battle: OpenPage, site: FakeApi) -> None:
    await battle.ask_and_wait("one?")
    await battle.rows_of("B").first.hover()
    await battle.pane("B").get_by_role("button", name="Edit").click()
    await battle.tab.locator(".edit-textarea").fill("eins?")
    await battle.pane("B").get_by_role("button", name="Send").click()
    for letter in "AB":
        await expect(battle.rows_of(letter).first).to_have_text("eins?")
    await expect(battle.ballot).to_be_visible()
    assert [request["messages"][-1]["content"] for request in site.requests[-2:]] == ["eins?", "eins?"]


async def test_the_request_is_shown_once_names_are_known(battle: OpenPage) -> None:
    await battle.button("Request as curl").click()
    await battle.ask_and_wait("What is shown?")
    await expect(battle.tab.locator(".fc-command")).to_contain_text("shown once you have voted")
    await battle.page.keyboard.press("3")
    commands = battle.tab.locator(".fc-command code")
    await expect(commands).to_have_count(2)
    assert names_in("".join(await commands.all_inner_texts()).encode()) == list(NAMES)


async def test_a_battle_needs_two(browser: Browser, web: Server, site: FakeApi) -> None:
    async with open_page(browser, web.url, "battle", models=site, of=NAMES) as page:
        site.models = ["alone-1b"]
        await expect(page.notice).to_contain_text("only one is running", timeout=SOON_MS)
        await page.ask("Hi")
        await expect(page.told).to_contain_text("two models")
        await expect(page.box).to_have_value("Hi")
        site.models = list(NAMES)
        await expect(page.notice).to_be_hidden(timeout=SOON_MS)
        await page.ask_and_wait("Hi")


async def test_two_browsers_battle_at_once(browser: Browser, web: Server, site: FakeApi) -> None:
    async with (
        open_page(browser, web.url, "battle", models=site, of=NAMES) as ada,
        open_page(browser, web.url, "battle") as bob,
    ):
        site.held_after = 1
        await asyncio.gather(ada.ask("Ada asks"), bob.ask("Bob asks"))
        await asyncio.gather(*(expect(one.rows.nth(1)).to_have_text("Hello") for one in (ada, bob)))
        site.go_on.set()
        await asyncio.gather(*(expect(one.ballot).to_be_visible() for one in (ada, bob)))
        await expect(ada.rows.first).to_have_text("Ada asks")
        await expect(bob.rows.first).to_have_text("Bob asks")
        await ada.page.keyboard.press("1")
        await expect(ada.told).to_contain_text("You chose A.")
        await expect(bob.ballot).to_be_visible()
        await expect(bob.history).to_have_count(1)


async def test_side_by_side_two_are_chosen_by_name(browser: Browser, web: Server, site: FakeApi) -> None:
    site.pieces_of = {"osprey-7b": ["I am one."], "plover-9b": ["I am another."]}
    async with open_page(browser, web.url, "side_by_side", models=site, of=NAMES) as page:
        await expect(page.picker("Model A")).to_have_value("osprey-7b", timeout=SOON_MS)
        await expect(page.picker("Model B")).to_have_value("plover-9b")
        await page.ask_and_wait("Hi")
        await expect(page.rows_of("A").nth(1)).to_have_text("I am one.")
        await expect(page.rows_of("B").nth(1)).to_have_text("I am another.")
        await page.page.keyboard.press("2")
        await expect(page.told).to_contain_text("You chose B.")
        await page.picker("Model A").click()
        await page.page.get_by_role("option", name="plover-9b").click()
        await expect(page.rows_of("A")).to_have_count(0)
        page.assert_clean()


async def test_a_reload_finds_an_answer_that_is_being_written(browser: Browser, web: Server, site: FakeApi) -> None:
    async with open_page(browser, web.url, "battle", models=site, of=NAMES) as page:
        site.held_after = 2
        await page.ask("Hi")
        await expect(page.rows.nth(1)).to_have_text("Hello from")
        await page.page.reload()
        await expect(page.rows.nth(1)).to_have_text("Hello from")
        await expect(page.button("Stop")).to_be_visible()
        site.go_on.set()
        await expect(page.rows_of("B").nth(1)).to_have_text("Hello from the fake API.")
        await expect(page.ballot).to_be_visible()
        await page.page.keyboard.press("4")
        await expect(page.told).to_contain_text("You found both bad.")


async def test_a_restart_in_the_middle_of_a_battle_loses_no_conversation(
    browser: Browser, site: FakeApi, arenas: Path, tmp_path: Path
) -> None:
    flags = ("--arena", "--api-url", site.url, "--arenas", str(arenas), "--data-dir", str(tmp_path))
    site.models, site.held_after = list(NAMES), 2
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    with Server("web", *flags) as web:
        page = await open_in(context, web.url, "battle")
        await page.ask("Are you there?")
        await expect(page.rows.nth(1)).to_have_text("Hello from")
        await asyncio.to_thread(web.kill)
    site.go_on.set()
    with Server("web", *flags, "--port", web.url.rpartition(":")[2]) as again:
        assert again.url == web.url
        # The open page notices by itself.
        await expect(page.rows.last).to_contain_text("interrupted", timeout=20_000)
        await expect(page.rows.first).to_have_text("Are you there?")
        await expect(page.ballot).to_be_hidden()
        await page.button("Regenerate").first.click()
        await expect(page.ballot).to_be_visible()
        await page.page.keyboard.press("1")
        await expect(page.told).to_contain_text("You chose A.")
        await context.close()


@pytest.mark.parametrize("dark", [False, True])
async def test_a_phone_shows_one_pane_beside_the_other(
    browser: Browser, web: Server, site: FakeApi, dark: bool
) -> None:
    async with open_page(browser, web.url, "battle", width=390, height=844, dark=dark, models=site, of=NAMES) as page:
        assert await fits(page)
        await page.ask_and_wait("W" * 300)
        assert await fits(page)
        await expect(page.box).to_be_in_viewport()
        await expect(page.button("Both are bad")).to_be_in_viewport()
        await expect(page.pane("A")).to_be_in_viewport(ratio=0.9)
        await page.pane("B").scroll_into_view_if_needed()
        await expect(page.pane("B")).to_be_in_viewport(ratio=0.9)


async def fits(page: OpenPage) -> bool:
    return bool(await page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
