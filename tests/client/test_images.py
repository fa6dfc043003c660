"""Images in messages: what is fetched, what is refused, and that no private address is asked."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web

from fastchat.client import images
from fastchat.client.images import ImageLimits, ImageLoader, is_public
from fastchat.core.errors import InvalidRequest

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
OPEN = ImageLimits(allow_private=True, max_bytes=1000, timeout_s=5)


@dataclass
class Site:
    """A web server on loopback that notes what it is asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()

    async def handle(request: web.Request) -> web.StreamResponse:
        site.asked.append(request.path)
        return await site.answer(request) if site.answer else web.Response(body=PNG)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


def message(*urls: str) -> dict[str, object]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}


async def test_an_image_becomes_its_own_content(site: Site) -> None:
    [inlined] = await ImageLoader(OPEN).inline([message(f"{site.url}/cat.png", PNG_URL)])
    assert [part["type"] for part in inlined["content"]] == ["text", "image_url", "image_url"]
    assert [part["image_url"]["url"] for part in inlined["content"][1:]] == [PNG_URL, PNG_URL]


async def test_an_image_that_comes_twice_is_fetched_once(site: Site) -> None:
    turns = [message(f"{site.url}/cat.png"), {"role": "assistant", "content": "A cat."}, message(f"{site.url}/cat.png")]
    await ImageLoader(OPEN).inline(turns)
    assert site.asked == ["/cat.png"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
    ],
)
async def test_the_first_bytes_tell_the_kind(head: bytes, kind: str) -> None:
    lying = f"data:image/bmp;base64,{base64.b64encode(head + bytes(20)).decode()}"
    assert (await ImageLoader(OPEN).load(lying)).media_type == kind


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:image/png;base64,%%%", "not valid base64"),
        ("data:image/png;base64,", "empty"),
        ("data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode(), "neither PNG"),
        ("data:image/png;base64," + base64.b64encode(PNG + bytes(2000)).decode(), "larger than"),
        ("file:///etc/passwd", "http:, https: or data:"),
        ("ftp://example.org/a.png", "http:, https: or data:"),
        ("cat.png", "http:, https: or data:"),
        ("http://", "http:, https: or data:|cannot be had"),
    ],
)
async def test_what_is_no_image_is_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        await ImageLoader(OPEN).load(url)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
async def test_this_machine_is_not_asked(site: Site, host: str) -> None:
    port = site.url.rpartition(":")[2]
    with pytest.raises(InvalidRequest, match="cannot be had"):
        await ImageLoader(ImageLimits(timeout_s=5)).load(f"http://{host}:{port}/cat.png")
    assert site.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("172.16.5.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("::ffff:0:a00:1", False),
        ("::10.0.0.1", False),
        ("fec0::1", False),
        ("2002:7f00:1::", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


async def test_a_redirect_is_checked_like_the_first_address(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "is_public", lambda host: host == "127.0.0.1")
    elsewhere = site.url.replace("127.0.0.1", "127.0.0.2")

    async def lead_away(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": f"{elsewhere}/secret"})

    site.answer = lead_away
    with pytest.raises(InvalidRequest, match=r"127\.0\.0\.2.*not public"):
        await ImageLoader(ImageLimits(timeout_s=5)).load(f"{site.url}/cat.png")
    assert site.asked == ["/cat.png"]


async def test_redirects_end(site: Site) -> None:
    async def again(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"location": request.path})

    site.answer = again
    with pytest.raises(InvalidRequest, match="more than 3 redirects"):
        await ImageLoader(OPEN).load(f"{site.url}/cat.png")


async def test_a_page_that_is_not_there_is_told(site: Site) -> None:
    async def missing(_: web.Request) -> web.Response:
        return web.Response(status=404)

    site.answer = missing
    with pytest.raises(InvalidRequest, match="answered 404"):
        await ImageLoader(OPEN).load(f"{site.url}/cat.png")


async def test_an_endless_image_is_cut_off(site: Site) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(request)
        while True:
            await reply.write(PNG * 100)

    site.answer = endless
    with pytest.raises(InvalidRequest, match="larger than"):
        await ImageLoader(OPEN).load(f"{site.url}/cat.png")


async def test_too_many_images_are_refused_unfetched(site: Site) -> None:
    with pytest.raises(InvalidRequest, match="3 images; 2 are allowed"):
        await ImageLoader(ImageLimits(max_images=2)).inline([message(*[f"{site.url}/{i}" for i in range(3)])])
    assert site.asked == []


async def test_a_part_of_another_kind_is_named() -> None:
    sound = {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}
    with pytest.raises(InvalidRequest, match="'input_audio'"):
        await ImageLoader(OPEN).inline([sound])
