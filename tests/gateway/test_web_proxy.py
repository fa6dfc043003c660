"""What the page learns of a browser through the gateway, with and without a proxy in front of both."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from fastchat.access.addresses import TrustedProxies
from fastchat.gateway.web_proxy import WebProxy
from tests.access.calls import call
from tests.client.providers.servers import serving

BROWSER, NGINX, INNER_NGINX = "203.0.113.7", "192.0.2.1", "192.0.2.2"
TRUSTED = TrustedProxies.parse(["192.0.2.0/24"])
HOST = ("host", "gateway:8000")
SAYS = [("x-forwarded-for", BROWSER), ("x-forwarded-proto", "https"), ("x-forwarded-host", "chat.example")]
INVENTED = [
    ("x-forwarded-for", "127.0.0.1"),
    *(("forwarded", "for=6.6.6.6"), ("cf-connecting-ip", "6.6.6.6"), ("x-real-ip", "6.6.6.6")),
    *(("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.example"), ("x-forwarded-port", "1")),
]


class Page:
    """The page's process: notes how it is called."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen = scope
        await PlainTextResponse("page")(scope, receive, send)

    async def sees(self, scope: Scope, proxies: TrustedProxies | None) -> tuple[str, str]:
        """Address and origin of the browser, as the page makes them out behind our gateway."""
        async with aiohttp.ClientSession() as session:
            await WebProxy(session, self.url, proxies)(scope, _receive(), _ignore)
        page = TrustedProxies.parse(["loopback"])
        return str(page.client(self.seen)), page.origin(self.seen).url


def _receive() -> Receive:
    messages = iter([{"type": "http.request", "body": b""}])

    async def receive() -> Any:
        message = next(messages, None)
        return message or await asyncio.Event().wait()

    return receive


async def _ignore(_: Any) -> None:
    pass


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    page = Page()
    async with serving(page) as page.url:
        yield page


@pytest.mark.parametrize("proxies", [None, TRUSTED])
async def test_a_browser_at_the_gateway_is_who_it_is_whatever_it_says(
    page: Page, proxies: TrustedProxies | None
) -> None:
    seen = await page.sees(call(HOST, *INVENTED, peer=BROWSER), proxies)
    assert seen == (BROWSER, "http://gateway:8000")
    names = {name.decode() for name, _ in page.seen["headers"]}
    assert not names & {"forwarded", "cf-connecting-ip", "x-real-ip", "x-forwarded-port"}


async def test_a_proxy_that_nobody_trusts_is_a_client(page: Page) -> None:
    assert await page.sees(call(HOST, *SAYS, peer=NGINX), None) == (NGINX, "http://gateway:8000")


@pytest.mark.parametrize(
    "forwarded", [BROWSER, f"6.6.6.6, {BROWSER}", f"{BROWSER}, {INNER_NGINX}", f"127.0.0.1, {BROWSER}:4711"]
)
async def test_the_word_of_a_trusted_proxy_reaches_the_page(page: Page, forwarded: str) -> None:
    scope = call(HOST, ("x-forwarded-for", forwarded), *SAYS[1:], peer=NGINX)
    assert await page.sees(scope, TRUSTED) == (BROWSER, "https://chat.example")


async def test_another_header_is_believed_at_the_gateway_and_translated(page: Page) -> None:
    proxies = TrustedProxies.parse([NGINX], address_header="cf-connecting-ip")
    scope = call(HOST, ("cf-connecting-ip", BROWSER), ("x-forwarded-for", "6.6.6.6"), peer=NGINX)
    assert (await page.sees(scope, proxies))[0] == BROWSER


async def test_tls_at_the_gateway_itself_is_seen(page: Page) -> None:
    assert (await page.sees(call(HOST, peer=BROWSER, scheme="https"), None))[1] == "https://gateway:8000"
