"""What the page's server refuses, and what it tells the browser to refuse.

Plain ASGI around the whole app: Starlette's middleware classes cost more, and Gradio streams through every layer.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio does not start without 'unsafe-eval' and inline scripts. What the policy is for is the rest: an answer that
# embeds an image must not make the reader's browser call home, and no other site may frame the page.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-ancestors 'self'",
        "base-uri 'self'",
        "form-action 'self'",
    ]
)

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

# Of Gradio's own routes, only what the page calls. Among the others are a proxy for any public URL (`file=http…`),
# uploads without a login, and copies of conversations on the server's disk (`deep_link`).
GRADIO_ROUTES = (
    "/gradio_api/queue/",
    "/gradio_api/run/",
    "/gradio_api/heartbeat/",
    "/gradio_api/cancel",
    "/gradio_api/app_id",
)


class Guard:
    def __init__(self, app: ASGIApp, *, body_limit: int) -> None:
        self._app = app
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            app = self._refusal(scope["method"], scope["path"], Headers(scope=scope)) or self._app
            await app(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> Response | None:
        if path.startswith("/gradio_api") and not path.startswith(GRADIO_ROUTES):
            return PlainTextResponse("This route is closed.", 403)
        if method not in ("POST", "PUT", "PATCH"):
            return None
        # Gradio reads bodies whole. Every browser announces the length, and so does our gateway.
        length = headers.get("content-length", "")
        if not length.isdigit():
            return PlainTextResponse("Announce the length of the body.", 411)
        return PlainTextResponse("The body is too large.", 413) if int(length) > self._body_limit else None


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers
