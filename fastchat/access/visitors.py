"""Who made a call: from its cookies, its key and its address to a `Visitor`."""

import re
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastchat.access.addresses import TrustedProxies, address_hash
from fastchat.access.cookies import SESSION, VOTER, read_cookie, unseal, write_cookie
from fastchat.access.directory import Directory
from fastchat.access.keys import shown_key
from fastchat.access.people import Person, Visitor
from fastchat.access.secret import keyed_hash
from fastchat.core.errors import AuthenticationFailed
from fastchat.core.http import header

Headers: TypeAlias = list[tuple[bytes, bytes]]

YEAR_S = 365 * 86400
_VOTER_ID = re.compile("[0-9a-f]{32}")


class Visitors:
    """`key` is the installation's secret; without it the hashes here tell nobody anything."""

    def __init__(
        self,
        key: bytes,
        directory: Directory | None = None,
        proxies: TrustedProxies | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key = key
        self.directory = directory or Directory()
        self.proxies = proxies or TrustedProxies()
        self.clock = clock

    def identify(self, scope: Scope) -> Visitor:
        """
        Raises:
            AuthenticationFailed: the call shows an API key that nobody has.
        """
        person = self.person(scope)
        # Without a cookie, which `VoterCookies` sees to, everybody is somebody new. An address would be shared by many.
        voter = f"person {person.name}" if person else f"cookie {voter_id(scope) or secrets.token_hex(16)}"
        return Visitor(
            voter_key=keyed_hash(self.key, "voter", voter),
            address_hash=address_hash(self.proxies.client(scope), self.key),
            person=person,
        )

    def person(self, scope: Scope) -> Person | None:
        """Whom a key or a session names; a key that is shown goes before a session.

        Raises:
            AuthenticationFailed: the call shows an API key that nobody has.
        """
        shown = shown_key(scope) if self.directory.ring else ""
        if shown:
            person = self.directory.by_key(shown)
            if person is None:
                raise AuthenticationFailed("The API key is not one of this server's keys.")
            return person
        session = unseal(read_cookie(scope, SESSION), key=self.key, purpose="session", now=self.clock())
        return self.directory.by_session(session, self.key) if session else None

    def of(self, request: Any) -> Visitor:  # Any: Starlette's request or Gradio's, which this package may not import
        """The same for a request object: Starlette's, or the wrapper that Gradio hands to its event handlers."""
        inner = getattr(request, "request", request)
        return self.identify(inner.scope if inner is not None else _scope_of_copy(request))


def voter_id(scope: Scope) -> str | None:
    """The random number in the browser's cookie."""
    value = read_cookie(scope, VOTER)
    return value if value and _VOTER_ID.fullmatch(value) else None


def _scope_of_copy(request: Any) -> Scope:  # Any: see `Visitors.of`
    """Gradio's wrapper once it went through pickle: only headers and client are left of the request."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in dict(request.headers).items()
    ]
    client = getattr(request, "client", None)
    return {
        "type": "http",
        "scheme": "http",
        "headers": headers,
        "client": (client.host, getattr(client, "port", 0)) if client and client.host else None,
    }


class VoterCookies:
    """Gives every browser a random number of 128 bits to be known by: a cookie for a year, which scripts cannot read.

    Only with pages and calls under `api_prefixes`. With anything that a cache may keep, one number would be handed to
    many; and whoever shows a key or is a program's health check needs none.
    """

    def __init__(self, app: ASGIApp, proxies: TrustedProxies, *, api_prefixes: tuple[str, ...] = ("/api/",)) -> None:
        self._app = app
        self._proxies = proxies
        self._api_prefixes = api_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "headers": _joined(scope["headers"])}
        if voter_id(scope) is None and self._is_wanted(scope):
            number = secrets.token_hex(16)
            # This very call is the voter's first, so it counts for the number too.
            scope["headers"] = [*scope["headers"], (b"cookie", f"{VOTER}={number}".encode())]
            is_secure = self._proxies.origin(scope).scheme == "https"
            send = _with_cookie(send, write_cookie(VOTER, number, max_age_s=YEAR_S, is_secure=is_secure))
        await self._app(scope, receive, send)

    def _is_wanted(self, scope: Scope) -> bool:
        if scope["path"].startswith(self._api_prefixes):
            return not shown_key(scope)
        return scope["method"] == "GET" and b"text/html" in (header(scope, b"accept") or b"")


def _joined(headers: Headers) -> Headers:
    # Gradio keeps one line of each header, the first, and that one may be the client's own invention.
    name = b"x-forwarded-for"
    lines = [value for key, value in headers if key == name]
    if len(lines) < 2:
        return headers
    return [*((key, value) for key, value in headers if key != name), (name, b", ".join(lines))]


def _with_cookie(send: Send, cookie: str) -> Send:
    async def send_with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("set-cookie", cookie)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return send_with_cookie
