"""Calls that change something are taken from our own pages only, where a cookie would lend them its owner's name.

Browsers say where a call comes from, and no page can make them lie: `Sec-Fetch-Site`, on plain HTTP only `Origin`.
Programs say neither and are let through; nobody can make somebody else's program call us with its cookies.
"""

from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fastchat.access.addresses import TrustedProxies
from fastchat.core.errors import PermissionDenied
from fastchat.core.http import header
from fastchat.protocol.openai import error_reply

_HARMLESS = frozenset(("GET", "HEAD", "OPTIONS"))
_PORTS = {"http": 80, "https": 443}


class SameOriginOnly:
    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _HARMLESS and header(scope, b"cookie"):
            try:
                require_same_origin(scope, self._proxies)
            except PermissionDenied as error:
                body, headers = error_reply(error)
                await JSONResponse(body, error.status, headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def require_same_origin(scope: Scope, proxies: TrustedProxies) -> None:
    """
    Raises:
        PermissionDenied: a page of another site made the browser call.
    """
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        is_ours = site in (b"same-origin", b"none")  # none: the reader's own doing
    else:
        origin = header(scope, b"origin")
        is_ours = origin is None or _names(origin.decode("latin-1"), proxies.origin(scope).host)
    if not is_ours:
        raise PermissionDenied("This call came from a page of another site. Open this server's own page and try again.")


def _names(origin: str, host: str) -> bool:
    """Whether this is the origin of that host. Schemes may differ: a proxy that nobody told us of may speak TLS."""
    try:
        theirs = urlsplit(origin)
        ours = urlsplit(f"{theirs.scheme}://{host}")
        standard = _PORTS.get(theirs.scheme)
        same_port = (theirs.port or standard) == (ours.port or standard)
    except ValueError:  # a port that is no number
        return False
    return theirs.hostname is not None and theirs.hostname == ours.hostname and same_port
