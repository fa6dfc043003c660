"""The way into a named arena, `/a/<name>/`: who may come in, and who may show it in a frame.

Plain ASGI around the pages. To whom an arena is closed and unlisted, its page does not exist.
"""

from collections.abc import Callable
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastchat.access.people import Visitor
from fastchat.arena.config import DEFAULT
from fastchat.arena.service import Arena
from fastchat.core.errors import AuthenticationFailed, FastChatError
from fastchat.web.look import ENTRY, NO_FRAMES, frame_ancestors, place_of
from fastchat.web.markup import escaped

_NEVER_KEPT = {"cache-control": "no-store"}
_REFUSAL = {
    **_NEVER_KEPT,
    "content-security-policy": f"default-src 'none'; base-uri 'none'; form-action 'none'; {NO_FRAMES}",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

# Answered at the root for all arenas; their pages ask for them by addresses relative to their own.
_OWN_PATHS = ("/api/", "/s/", "/look/")
_OWN = frozenset(("/docs", "/favicon.ico", "/models-version", "/whoami"))

_ROOT_PAGE = ("/config", "/gradio_api/")  # besides `/`


class OwnPaths:
    """`/a/<name>/api/…` and the like are the same as without what stands before."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(ENTRY):
            within = place_of(scope["path"]).path
            if within in _OWN or within.startswith(_OWN_PATHS):
                scope = {**scope, "path": within, "raw_path": quote(within).encode()}
        await self._app(scope, receive, send)


class ArenaEntry:
    """`root` is the path a proxy shows us under; without logins, whoever is unknown is only told so."""

    def __init__(
        self, app: ASGIApp, arena: Arena, identify: Callable[[Request], Visitor], *, has_logins: bool, root: str = ""
    ) -> None:
        self._app = app
        self._arena = arena
        self._identify = identify
        self._has_logins = has_logins
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = self._elsewhere(scope) or self._app
        await answer(scope, receive, _framed(send, frame_ancestors(scope["path"], self._arena.configs)))

    def _elsewhere(self, scope: Scope) -> Response | None:
        """Where a call is sent instead of to its page, if it is not let in."""
        path = scope["path"]
        name = _page_of(path)
        if name is None:
            return None
        try:
            self._arena.config(self._identify(Request(scope)), name)
        except AuthenticationFailed as error:
            if self._has_logins and scope["method"] == "GET":
                return RedirectResponse(f"{self._root}/login?next={quote(path)}", 303, _NEVER_KEPT)
            return _refused(error)
        except FastChatError as error:
            return _refused(error)
        query = scope["query_string"].decode("latin-1")
        if path.startswith(ENTRY) and name == DEFAULT:
            return self._gone_to("/", query)
        if path == f"{ENTRY}{name}":  # what the page loads stands beside it, so its address ends in a slash
            return self._gone_to(f"{path}/", query)
        return None

    def _gone_to(self, path: str, query: str) -> Response:
        return RedirectResponse(f"{self._root}{quote(path)}{f'?{query}' if query else ''}", 307, _NEVER_KEPT)


def _page_of(path: str) -> str | None:
    """The arena whose page this is a part of."""
    if path.startswith(ENTRY) or path == "/":
        return place_of(path).arena
    return DEFAULT if path.startswith(_ROOT_PAGE) else None


def _refused(error: FastChatError) -> Response:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not here</title></head>'
        f"<body><p>{escaped(error.message)}</p></body></html>"
    )
    return HTMLResponse(text, error.status, _REFUSAL)


def _framed(send: Send, rule: str) -> Send:
    async def send_framed(message: Message) -> None:
        if message["type"] == "http.response.start" and rule != NO_FRAMES:
            headers = MutableHeaders(scope=message)
            policy = headers.get("content-security-policy", "")
            if NO_FRAMES in policy:  # pages that nobody may frame say so themselves
                headers["content-security-policy"] = policy.replace(NO_FRAMES, rule)
        await send(message)

    return send_framed
