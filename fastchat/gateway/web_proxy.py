"""Everything that is not API belongs to the web page, which runs in a process of its own: a plain reverse proxy."""

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from fastchat.access.addresses import TrustedProxies
from fastchat.core.errors import NoWorker, UnknownRoute
from fastchat.core.http import header, read_body, while_connected

# RFC 9110, section 7.6.1: these concern one connection only.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)
# What proxies say of the client. The page believes us alone, so we judge it here and write down what we make of it.
_OURS = frozenset(
    b"content-length forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-prefix "
    b"x-real-ip x-client-ip true-client-ip cf-connecting-ip fastly-client-ip".split()
)
_API = ("/v1/", "/v1beta/", "/api/v1/")  # what is unknown there is an API's mistake, not a page
_UPLOAD_LIMIT = 64 * 2**20


class WebProxy:
    """Passes requests on to the web page. Without one, or under the API, unknown paths are 404.

    To know clients by address, the page trusts this proxy (`loopback`), and this one the `proxies` in front of it.
    """

    def __init__(
        self, session: aiohttp.ClientSession, web_url: str | None, proxies: TrustedProxies | None = None
    ) -> None:
        self._session = session
        self._web_url = URL(web_url) if web_url else None
        self._proxies = proxies or TrustedProxies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._web_url is None or scope["path"].startswith(_API):
            raise UnknownRoute(f"There is nothing at {scope['method']} {scope['path'][:200]}.")
        body = await read_body(scope, receive, _UPLOAD_LIMIT, may_be_encoded=True)
        await while_connected(receive, self._pass_on(scope, body, send))

    async def _pass_on(self, scope: Scope, body: bytes, send: Send) -> None:
        assert self._web_url is not None
        url = URL.build(
            scheme=self._web_url.scheme,
            host=self._web_url.host or "",
            port=self._web_url.port,
            path=scope["raw_path"].decode("latin-1").partition("?")[0],
            query_string=scope["query_string"].decode("latin-1"),
            encoded=True,
        )
        headers = _passed_on(scope, self._proxies)
        try:
            response = await self._session.request(
                scope["method"],
                url,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            )
        except aiohttp.ClientError:
            raise NoWorker("The web page is not running at the moment.", retry_after_s=1) from None
        try:
            kept = [(name.lower(), value) for name, value in response.raw_headers if name.lower() not in _HOP_BY_HOP]
            await send({"type": "http.response.start", "status": response.status, "headers": kept})
            async for chunk in response.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            response.release()


def _passed_on(scope: Scope, proxies: TrustedProxies) -> list[tuple[str, str]]:
    """The client's headers but those of this one connection, and what we know of where it comes from."""
    named = (header(scope, b"connection") or b"").lower().split(b",")
    dropped = _HOP_BY_HOP | {name.strip() for name in named} | _OURS
    headers = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"] if name not in dropped
    ]
    origin, client = proxies.origin(scope), proxies.client(scope)
    headers += [("x-forwarded-proto", origin.scheme), ("x-forwarded-host", origin.host)]
    return [*headers, ("x-forwarded-for", str(client))] if client else headers
