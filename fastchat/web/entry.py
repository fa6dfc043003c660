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
from fastchat.arena.service import Arena
from fastchat.core.errors import AuthenticationFailed, FastChatError
from fastchat.web.look import ENTRY, NO_FRAMES, frame_ancestors, place_of
from fastchat.web.markup import escaped

_NEVER_KEPT = {"cache-control": "no-store"}


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
        place = place_of(path)
        if not path.startswith(ENTRY) or place.arena is None:
            return None
        try:
            self._arena.config(self._identify(Request(scope)), place.arena)
        except AuthenticationFailed as error:
            if self._has_logins and scope["method"] == "GET":
                return RedirectResponse(f"{self._root}/login?next={quote(path)}", 303, _NEVER_KEPT)
            return _refused(error)
        except FastChatError as error:
            return _refused(error)
        if path == f"{ENTRY}{place.arena}":  # what the page loads stands beside it, so its address ends in a slash
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"{self._root}{quote(path)}/{f'?{query}' if query else ''}", 307, _NEVER_KEPT)
        return None


def _refused(error: FastChatError) -> Response:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Not here</title></head>'
        f"<body><p>{escaped(error.message)}</p></body></html>"
    )
    return HTMLResponse(text, error.status, _NEVER_KEPT)


def _framed(send: Send, rule: str) -> Send:
    async def send_framed(message: Message) -> None:
        if message["type"] == "http.response.start" and rule != NO_FRAMES:
            headers = MutableHeaders(scope=message)
            policy = headers.get("content-security-policy", "")
            if NO_FRAMES in policy:  # pages that nobody may frame say so themselves
                headers["content-security-policy"] = policy.replace(NO_FRAMES, rule)
        await send(message)

    return send_framed
