"""The page on its own, as FastChat's was: it calls the models of a register file itself."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Browser, expect

from fastchat.core.serving import Listener
from fastchat.web.sharing import Link
from tests.web.fake_api import FakeApi
from tests.web.pages import open_page
from tests.web.server import Server


@pytest.fixture(scope="module")
def alone(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("register") / "api_endpoints.json"
    entry = {"model_name": "tiny-chat", "api_type": "openai", "api_base": f"{shared_api.url}/v1/", "api_key": "Empty"}
    entry["vision-arena"] = True
    file.write_text(json.dumps({"A tiny chat": entry}))
    with Server("web", "--controller", "", "--register", str(file)) as web:
        yield web


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_a_registered_model_answers_under_its_display_name(
    browser: Browser, alone: Server, shared_api: FakeApi
) -> None:
    shared_api.reset()
    async with open_page(browser, alone.url) as page:
        await expect(page.model).to_have_value("A tiny chat")
        await page.ask("Hi")
        await expect(page.rows.nth(1)).to_have_text("Hello from the fake API.")
        await expect(page.facts).to_have_text(re.compile("^A tiny chat"))
        page.assert_clean()
    assert shared_api.requests[-1]["model"] == "tiny-chat"


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_only_the_chat_is_shown(browser: Browser, alone: Server) -> None:
    async with open_page(browser, alone.url) as page:
        await expect(page.page.get_by_role("tab")).to_have_count(0)
        await expect(page.box).to_be_visible()


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_an_image_reaches_the_model_and_is_shown(
    browser: Browser, alone: Server, shared_api: FakeApi, tmp_path: Path
) -> None:
    shared_api.reset()
    picture = tmp_path / "heron.png"
    Image.new("RGB", (64, 48), "teal").save(picture)
    async with open_page(browser, alone.url) as page:
        await page.tab.locator(".fc-composer input[type=file]").first.set_input_files(picture)
        await expect(page.tab.locator(".fc-composer .thumbnail-image, .fc-composer img")).to_be_visible()
        await page.ask_and_wait("What is this?")
        shown = page.tab.get_by_role("img", name="heron.png")
        assert await shown.evaluate("image => image.naturalWidth") == 64
        await page.page.reload()
        await expect(page.tab.get_by_role("img", name="heron.png")).to_be_visible()
        page.assert_clean()
    content = shared_api.requests[-1]["messages"][-1]["content"]
    (image,) = [part for part in content if part["type"] == "image_url"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_no_image_is_refused_in_words(browser: Browser, alone: Server, tmp_path: Path) -> None:
    fake = tmp_path / "fake.png"
    fake.write_bytes(b"<svg onload=alert(1)>")
    async with open_page(browser, alone.url) as page:
        await page.tab.locator(".fc-composer input[type=file]").first.set_input_files(fake)
        await expect(page.tab.locator(".fc-composer .thumbnail-image, .fc-composer img")).to_have_count(1)
        await page.ask("What is this?")
        await expect(page.told).to_contain_text("image")
        await expect(page.box).to_have_value("What is this?")


async def tunnelled(caplog: pytest.LogCaptureFixture, tunnel: Callable[[str, int], str], *, is_open: bool) -> str:
    listener = Listener("127.0.0.1", 0)
    link = Link(listener, is_open=is_open, tunnel=tunnel)
    with caplog.at_level(logging.WARNING):
        link.ask_for()
        assert link.asking is not None
        await link.asking
    listener.socket.close()
    return caplog.text


async def test_a_public_link_is_shown_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    ports: list[int] = []

    def tunnel(host: str, port: int) -> str:
        ports.append(port)
        return "https://x.gradio.live"

    said = await tunnelled(caplog, tunnel, is_open=True)
    assert "Public link: https://x.gradio.live" in said
    assert "--gradio-auth-path" in said
    assert "cost money" in said
    assert ports[0] > 0
    caplog.clear()
    assert "--gradio-auth-path" not in await tunnelled(caplog, tunnel, is_open=False)


async def test_without_a_tunnel_the_page_serves_on(caplog: pytest.LogCaptureFixture) -> None:
    def tunnel(host: str, port: int) -> str:
        raise RuntimeError("no network")

    assert "There is no public link: RuntimeError: no network" in await tunnelled(caplog, tunnel, is_open=True)
