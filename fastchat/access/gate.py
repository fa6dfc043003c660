"""Where there are logins, nobody comes further than the login without one."""

from urllib.parse import quote

from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fastchat.access.visitors import Visitors
from fastchat.core.errors import AuthenticationFailed
from fastchat.core.http import header
from fastchat.protocol.openai import error_reply

OPEN_PATHS = ("/login", "/login/oidc", "/login/oidc/callback", "/health", "/favicon.ico")


class LoginGate:
    """Sends browsers to the login and answers 401 to everything else. Without logins, it stands open.

    `open_paths` are whole paths, or prefixes where they end in a slash. `root` is the path a proxy shows us under.
    """

    def __init__(
        self, app: ASGIApp, visitors: Visitors, *, open_paths: tuple[str, ...] = OPEN_PATHS, root: str = ""
    ) -> None:
        self._app = app
        self._visitors = visitors
        self._open = frozenset(open_paths)
        self._open_prefixes = tuple(path for path in open_paths if path.endswith("/"))
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            is_welcome = scope["type"] == "lifespan" or self._is_open(scope) or self._visitors.person(scope) is not None
            error = AuthenticationFailed("Sign in first, or send an API key: Authorization: Bearer KEY.")
        except AuthenticationFailed as wrong_key:
            is_welcome, error = False, wrong_key
        if is_welcome:
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            raise error
        elif scope["method"] == "GET" and b"text/html" in (header(scope, b"accept") or b""):
            wanted = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            address = f"{self._root}/login?next={quote(wanted, safe='/')}"
            await RedirectResponse(address, 303, {"cache-control": "no-store"})(scope, receive, send)
        else:
            body, headers = error_reply(error)
            await JSONResponse(body, error.status, headers)(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        if not self._visitors.directory.asks_for_login:
            return True
        path = scope["path"]
        return path in self._open or (bool(self._open_prefixes) and path.startswith(self._open_prefixes))
