"""The chat as a reader meets it, in a real browser. Each test ends by seeing that the page called nobody else and
that the console is clean (the `page` fixture)."""

import asyncio
import re
import threading

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.web.fake_api import Failure, FakeApi
from tests.web.pages import OpenPage, open_page
from tests.web.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SOON_MS = 5000


async def happened(event: threading.Event) -> bool:
    return await asyncio.to_thread(event.wait, SOON_MS / 1000)


async def test_an_answer_streams_and_ends(page: OpenPage, site: FakeApi) -> None:
    site.held_after = 2
    await page.ask("Hi")
    await expect(page.rows.nth(0)).to_have_text("Hi")
    await expect(page.rows.nth(1)).to_have_text("Hello from")
    await expect(page.box).to_be_empty()
    await expect(page.button("Stop")).to_be_visible()
    site.go_on.set()
    await expect(page.rows.nth(1)).to_have_text("Hello from the fake API.")
    await expect(page.facts).to_have_text(re.compile(r"^tiny-chat · 5 tokens · .*first token after \d+\.\d\d s$"))
    await expect(page.button("Send")).to_be_visible()


async def test_a_reader_may_ask_before_the_page_has_settled(
    desktop: BrowserContext, web: Server, site: FakeApi
) -> None:
    tab = OpenPage(await desktop.new_page(), web.url)
    await tab.page.goto(f"{web.url}?direct")
    await tab.ask("Hi")
    await expect(tab.rows.nth(1)).to_have_text("Hello from the fake API.")
    await tab.page.close()


async def test_enter_sends_and_shift_enter_breaks_the_line(page: OpenPage, site: FakeApi) -> None:
    await page.box.press_sequentially("one")
    await page.box.press("Shift+Enter")
    await page.box.press_sequentially("two")
    await page.box.press("Enter")
    await expect(page.facts).to_be_visible()
    assert site.requests[0]["messages"] == [{"role": "user", "content": "one\ntwo"}]


@pytest.mark.parametrize(("held_after", "kept"), [(0, ""), (2, "Hello from")])
async def test_stop_ends_the_request_and_keeps_what_there_is(
    page: OpenPage, site: FakeApi, held_after: int, kept: str
) -> None:
    site.held_after = held_after
    await page.ask("Hi")
    await expect(page.rows.nth(1)).to_have_text(kept)
    await page.button("Stop").click()
    assert await happened(site.was_left)
    await expect(page.facts).to_have_text(re.compile("stopped$"))
    await expect(page.button("Send")).to_be_visible()


async def test_a_question_can_be_asked_while_another_is_answered(page: OpenPage, site: FakeApi) -> None:
    site.held_after = 2
    await page.ask("one?")
    await expect(page.rows.nth(1)).to_have_text("Hello from")
    site.held_after = None
    await page.box.fill("two?")
    await page.box.press("Enter")
    assert await happened(site.was_left)
    await expect(page.rows.last).to_contain_text("5 tokens")
    assert site.requests[1]["messages"][-1]["content"] == "two?"


async def test_regenerate_gives_another_answer(page: OpenPage, site: FakeApi) -> None:
    await page.ask_and_wait("Hi")
    site.pieces = ["Another."]
    await page.button("Regenerate").click()
    await expect(page.rows.nth(1)).to_have_text("Another.")
    assert site.requests[1]["messages"] == [{"role": "user", "content": "Hi"}]


async def test_a_question_can_be_edited(page: OpenPage, site: FakeApi) -> None:
    await page.ask_and_wait("one?")
    await page.ask_and_wait("two?")
    await page.rows.first.hover()
    await page.button("Edit").first.click()
    await page.tab.locator(".edit-textarea").fill("eins?")
    await page.pane("A").get_by_role("button", name="Send").click()
    await expect(page.rows).to_have_count(3)
    await expect(page.rows.first).to_have_text("eins?")
    assert site.requests[-1]["messages"] == [{"role": "user", "content": "eins?"}]


async def test_a_new_chat_begins_with_nothing(page: OpenPage, site: FakeApi) -> None:
    await page.ask_and_wait("one?")
    await page.new.click()
    await expect(page.tab.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    await page.ask_and_wait("two?")
    assert site.requests[-1]["messages"] == [{"role": "user", "content": "two?"}]


async def test_an_example_asks_itself(page: OpenPage, site: FakeApi) -> None:
    await page.tab.get_by_role("button", name=re.compile("Write some code")).click()
    await expect(page.facts).to_be_visible()
    assert "overlapping intervals" in site.requests[0]["messages"][0]["content"]


async def test_parameters_reach_the_model(page: OpenPage, site: FakeApi) -> None:
    await page.button("Parameters").click()
    # Gradio sets the sliders once more just after it has drawn them; by the time the command is there it has.
    await page.button("Request as curl").click()
    await expect(page.tab.locator(".fc-command code")).to_contain_text("tiny-chat")
    await page.tab.get_by_role("spinbutton", name=re.compile("Temperature")).fill("0.2")
    await page.tab.get_by_role("spinbutton", name=re.compile("Max tokens")).fill("64")
    await page.tab.get_by_role("textbox", name="System message").fill("Be brief.")
    await page.ask_and_wait("Hi")
    sent = site.requests[0]
    assert (sent["temperature"], sent["max_tokens"]) == (0.2, 64)
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_the_request_is_shown_as_a_command(page: OpenPage, site: FakeApi) -> None:
    await page.button("Request as curl").click()
    command = page.tab.locator(".fc-command code")
    await expect(command).to_contain_text(f"curl -N {site.url}/v1/chat/completions")
    await page.ask("What is shown?")
    await expect(command).to_contain_text("What is shown?")


async def test_a_model_that_registers_appears_in_the_open_page(page: OpenPage, site: FakeApi) -> None:
    await expect(page.model).to_have_value("tiny-chat")
    site.models.append("newcomer")
    await page.model.click()
    await page.page.get_by_role("option", name="newcomer").click(timeout=SOON_MS)
    await page.ask_and_wait("Hi")
    assert site.requests[0]["model"] == "newcomer"


async def test_a_model_that_leaves_makes_room_for_the_next(page: OpenPage, site: FakeApi) -> None:
    await expect(page.model).to_have_value("tiny-chat")
    site.models = ["other"]
    await expect(page.model).to_have_value("other", timeout=SOON_MS)


async def test_a_conversation_stays_with_its_model(page: OpenPage, site: FakeApi) -> None:
    await page.ask_and_wait("Hi")
    site.models = ["other"]
    await expect(page.model).to_have_value("tiny-chat (not running)", timeout=SOON_MS)


async def test_no_model_yet_is_said_in_words_until_one_comes(page: OpenPage, site: FakeApi) -> None:
    site.models = []
    await expect(page.notice).to_contain_text("No model is running", timeout=SOON_MS)
    await page.ask("Hi")
    await expect(page.told).to_contain_text("No model is running")
    await expect(page.box).to_have_value("Hi")
    site.models = ["first"]
    await expect(page.notice).to_be_hidden(timeout=SOON_MS)
    await expect(page.model).to_have_value("first")


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(404, "model_not_found"), "failed while it was answering"),
        (Failure(429, "queue_full", headers={"retry-after": "7"}), "is busy at the moment"),
        (Failure(400, "invalid_value", "It is wrong."), "It is wrong."),
    ],
)
async def test_what_went_wrong_is_said_in_words(page: OpenPage, site: FakeApi, failure: Failure, words: str) -> None:
    site.failure = failure
    await page.ask("Hi")
    await expect(page.failure).to_contain_text(words)
    site.failure = None
    await page.button("Regenerate").click()
    await expect(page.rows.nth(1)).to_have_text("Hello from the fake API.")


async def test_a_lost_connection_is_said_below_what_had_come(page: OpenPage, site: FakeApi) -> None:
    site.finish_reason = None
    await page.ask("Hi")
    await expect(page.rows.nth(1)).to_have_text("Hello from the fake API.")
    await expect(page.failure).to_contain_text("broke off before its end")


async def test_reasoning_is_folded_once_the_answer_begins(page: OpenPage, site: FakeApi) -> None:
    site.thoughts, site.held_after = ["Let me think."], 0
    await page.ask("Hi")
    await expect(page.page.get_by_text("Let me think.")).to_be_visible()
    site.go_on.set()
    await expect(page.rows.nth(2)).to_have_text("Hello from the fake API.")
    await expect(page.page.get_by_text("Let me think.")).to_be_hidden()
    await page.button("Reasoning").click()
    await expect(page.page.get_by_text("Let me think.")).to_be_visible()


async def test_markdown_code_and_formulas_are_rendered(page: OpenPage, site: FakeApi) -> None:
    site.pieces = ["**Bold** $x^2$ for $5 or $10, a List<String>.\n\n", "```python\nif x:\n    pass\n```\n"]
    await page.ask_and_wait("Hi")
    answer = page.rows.nth(1)
    await expect(answer.locator("strong")).to_have_text("Bold")
    await expect(answer.locator(".katex")).to_have_count(1)
    await expect(answer).to_contain_text("$5 or $10, a List<String>.")
    await expect(answer.locator("pre code")).to_have_text("if x:\n    pass\n")
    await expect(answer.get_by_role("button", name="copy")).to_be_visible()


async def test_an_answer_cannot_make_the_browser_call_home(browser: Browser, web: Server, site: FakeApi) -> None:
    site.pieces = ['![](http://127.0.0.1:9/a.png) <img src="http://127.0.0.1:9/b.png" onerror="alert(1)">']
    async with open_page(browser, web.url) as page:
        asked: list[str] = []
        page.page.on("requestfinished", lambda request: asked.append(request.url))
        page.page.on("dialog", lambda dialog: asked.append(dialog.message))
        await page.ask_and_wait("Hi")
        await expect(page.rows.nth(1).locator("img")).to_have_count(2)
        assert len(page.complaints) == 2
        assert all("Content Security Policy" in complaint for complaint in page.complaints)
        assert not [url for url in asked if ":9/" in url]


WIDE = [
    "A-very-long-word" * 20 + "\n\n",
    "```python\n" + "x = " + " + ".join(["a_long_name"] * 30) + "\n```\n\n",
    "| " + " | ".join(["column"] * 12) + " |\n|" + "---|" * 12 + "\n| " + " | ".join(["value"] * 12) + " |\n\n",
    "$$" + "+".join(f"x_{{{n}}}" for n in range(40)) + "$$\n",
]


@pytest.mark.parametrize("dark", [False, True])
async def test_a_phone_never_scrolls_sideways(browser: Browser, web: Server, site: FakeApi, dark: bool) -> None:
    site.pieces, site.models = WIDE, ["a-model-with-a-name-that-is-longer-than-a-phone-is-wide"]
    async with open_page(browser, web.url, width=390, height=844, dark=dark) as page:
        await expect(page.model).to_have_value(site.models[0])
        assert await fits(page.page)
        await page.button("Parameters").click()
        await page.button("Request as curl").click()
        await page.ask_and_wait("W" * 300)
        assert await fits(page.page)
        page.assert_clean()


async def fits(page: Page) -> bool:
    """Neither the page nor the log is wider than the window."""
    return bool(
        await page.evaluate(
            "[document.documentElement, document.querySelector('#fc-tab-direct .bubble-wrap')]"
            ".every(box => box.scrollWidth <= box.clientWidth && box.clientWidth <= innerWidth)"
        )
    )


@pytest.mark.parametrize("dark", [False, True])
async def test_the_page_is_dark_where_the_system_is(browser: Browser, web: Server, site: FakeApi, dark: bool) -> None:
    async with open_page(browser, web.url, dark=dark) as page:
        ground = await page.page.evaluate("getComputedStyle(document.querySelector('gradio-app')).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) is dark


async def test_the_header_names_the_product_and_links_to_the_docs(page: OpenPage) -> None:
    await expect(page.page).to_have_title("FastChat")
    await expect(page.page.get_by_role("heading", level=1)).to_have_text("FastChat")
    await expect(page.page.get_by_role("link", name="API docs")).to_have_attribute("href", "docs")
