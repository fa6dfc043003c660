"""Images of a chat: from the address in a message to bytes of a known type, or a refusal.

An address comes from a stranger and is fetched from inside our network, so only public addresses are asked, each
redirect is checked like the first address, and the check is made on the very address that is connected to: a name that
resolves to something else the second time gains nothing.
"""

import asyncio
import base64
import binascii
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from fastchat.core.errors import InvalidRequest

_MAX_REDIRECTS = 3
_FETCHES_AT_ONCE = 8
_UNICAST = ipaddress.ip_network("2000::/3")  # all that is given out of IPv6
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What a message may bring."""

    max_bytes: int = 20 * 2**20  # of each image
    max_images: int = 32  # of a conversation
    timeout_s: float = 10.0  # for each fetch as a whole
    allow_private: bool = False  # fetch from loopback and private networks too


@dataclass(frozen=True, slots=True)
class Image:
    """PNG, JPEG, GIF or WebP, as its first bytes say."""

    media_type: str
    data: bytes

    @classmethod
    def recognise(cls, data: bytes) -> "Image":
        """
        Raises:
            InvalidRequest: it is no image, or of a kind models do not read.
        """
        for signature, media_type in _SIGNATURES:
            if data.startswith(signature):
                return cls(media_type, data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return cls("image/webp", data)
        raise InvalidRequest("An image is neither PNG, JPEG, GIF nor WebP.", param="messages")

    @property
    def data_url(self) -> str:
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode()}"


class ImageLoader:
    """Gets the images of messages within limits."""

    def __init__(self, limits: ImageLimits = ImageLimits()) -> None:
        self._limits = limits
        self._fetching = asyncio.Semaphore(_FETCHES_AT_ONCE)

    async def inline(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The same messages, with every image as a `data:` URL of a checked type and size.

        Raises:
            InvalidRequest: an image cannot be had, is too large or of an unknown kind; or there are too many.
        """
        addresses = [url for message in messages for url in image_addresses(message)]
        if len(addresses) > self._limits.max_images:
            raise InvalidRequest(
                f"The messages hold {len(addresses)} images; {self._limits.max_images} are allowed.", param="messages"
            )
        # A conversation repeats its images each turn, and a caller one image in many turns: each is had once.
        distinct = list(dict.fromkeys(addresses))
        found = dict(zip(distinct, await asyncio.gather(*map(self.load, distinct)), strict=True))
        return [_with_images(message, found) for message in messages]

    async def load(self, url: str) -> Image:
        """
        Raises:
            InvalidRequest: as `inline`.
        """
        if url.startswith("data:"):
            return Image.recognise(self._decoded(url))
        async with self._fetching:
            try:
                async with asyncio.timeout(self._limits.timeout_s):
                    return Image.recognise(await self._fetch(url))
            except TimeoutError:
                reason = f"nothing whole came within {self._limits.timeout_s:g} s"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                reason = str(error) or type(error).__name__
        raise _refusal(url, reason)

    def _decoded(self, url: str) -> bytes:
        head, comma, content = url.partition(",")
        if len(content) > self._limits.max_bytes * 4 / 3 + 4:
            raise self._too_large()
        try:
            data = base64.b64decode(content, validate=True) if head.endswith(";base64") else unquote_to_bytes(content)
        except (binascii.Error, ValueError):
            raise InvalidRequest("The data: URL of an image is not valid base64.", param="messages") from None
        if not comma or not data:
            raise InvalidRequest("The data: URL of an image is empty.", param="messages")
        return data

    async def _fetch(self, address: str) -> bytes:
        connector = aiohttp.TCPConnector(resolver=None if self._limits.allow_private else _PublicResolver())
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            url = URL(address)
            for _ in range(_MAX_REDIRECTS + 1):
                self._check_address(url)
                async with session.get(url, allow_redirects=False, headers={"accept": "image/*"}) as reply:
                    if reply.status in (301, 302, 303, 307, 308) and "location" in reply.headers:
                        url = url.join(URL(reply.headers["location"]))
                        continue
                    if reply.status != 200:
                        raise _refusal(address, f"the server answered {reply.status}")
                    return await self._read(reply)
        raise _refusal(address, f"more than {_MAX_REDIRECTS} redirects")

    def _check_address(self, url: URL) -> None:
        if url.scheme not in ("http", "https") or not url.host:
            raise InvalidRequest(
                f"An image comes as http:, https: or data: URL, not as {str(url)[:80]!r}.", param="messages"
            )
        # aiohttp asks no resolver about a literal address.
        if not self._limits.allow_private and _is_literal(url.host) and not is_public(url.host):
            raise _refusal(str(url), "the address is not public")

    async def _read(self, reply: aiohttp.ClientResponse) -> bytes:
        data = bytearray()
        async for chunk in reply.content.iter_chunked(2**16):
            data += chunk
            if len(data) > self._limits.max_bytes:
                raise self._too_large()
        return bytes(data)

    def _too_large(self) -> InvalidRequest:
        return InvalidRequest(f"An image is larger than {self._limits.max_bytes / 2**20:g} MiB.", param="messages")


class _PublicResolver(AbstractResolver):
    """Resolves names, and refuses those that lead into a private network."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(result["host"]) for result in found):
            raise OSError("the address is not public")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_public(host: str) -> bool:
    """Whether an IP address belongs to the open internet, also when it is wrapped into another."""
    address = ipaddress.ip_address(host.split("%")[0].strip("[]"))
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner is None and address not in _UNICAST:
            return False  # more ways to wrap a private address, and ranges that nobody routes
        address = inner or address
    return address.is_global and not address.is_multicast


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.split("%")[0].strip("[]"))
    except ValueError:
        return False
    return True


def image_addresses(message: Mapping[str, Any]) -> list[str]:
    """
    Raises:
        InvalidRequest: a part is neither text nor image.
    """
    content = message.get("content")
    return [url for part in content if (url := _address(part))] if isinstance(content, list) else []


def _address(part: Mapping[str, Any]) -> str | None:
    kind = part.get("type")
    if kind in ("text", "input_text", "refusal"):
        return None
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if kind not in ("image_url", "input_image") or not isinstance(url, str):
        raise InvalidRequest(
            f"A part of a message is of type {str(kind)[:40]!r}. Allowed: 'text', and 'image_url' with the field "
            "image_url.url.",
            param="messages",
        )
    return url


def _with_images(message: Mapping[str, Any], found: Mapping[str, Image]) -> Mapping[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [_inlined(part, found) for part in content]}


def _inlined(part: Mapping[str, Any], found: Mapping[str, Image]) -> Mapping[str, Any]:
    url = _address(part)
    if url is None:
        return {"type": "text", "text": part.get("text") or part.get("refusal") or ""}
    return {"type": "image_url", "image_url": {"url": found[url].data_url}}


def _refusal(url: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"The image at {url[:200]!r} cannot be had: {reason}.", param="messages")
