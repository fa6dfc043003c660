"""What the page's server refuses, and what it tells the browser to refuse.

Plain ASGI around the whole app: Starlette's middleware classes cost more, and Gradio streams through every layer.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastchat.web.look import place_of
from fastchat.web.uploads import Uploads

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

# Of Gradio's own routes, only what the page calls. Among the others are a proxy for any public URL (`file=http…`)
# and copies of conversations on the server's disk (`deep_link`).
GRADIO_ROUTES = (
    "/gradio_api/queue/",
    "/gradio_api/run/",
    "/gradio_api/heartbeat/",
    "/gradio_api/cancel",
    "/gradio_api/app_id",
    "/gradio_api/upload_progress",
)
UPLOAD = "/gradio_api/upload"
API_UPLOAD = "/api/arena/files"

# What an answer's images may ask for: others' are forbidden by the policy, and not every GET of ours is harmless.
IMAGES = (
    "/api/arena/files/",
    "/api/arena/shared/",
    "/favicon.ico",
    "/static/",
    "/assets/",
    "/gradio_api/file=",
    "/look/",
)


class Guard:
    """`uploads` takes in what readers attach; None: nothing can be attached."""

    def __init__(self, app: ASGIApp, *, body_limit: int, uploads: Uploads | None = None) -> None:
        self._app = app
        self._body_limit = body_limit
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # The page of a named arena has all of Gradio's routes under its own address.
            path = "/" + place_of(scope["path"]).path.lstrip("/")
            app = self._refusal(scope["method"], path, Headers(scope=scope)) or self._app
            await app(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, send)

    def _refusal(self, method: str, path: str, headers: Headers) -> Response | None:
        if headers.get("sec-fetch-dest") == "image" and not path.startswith(IMAGES):
            return PlainTextResponse("This is no image.", 403)
        if path.startswith("/gradio_api") and not self._is_open(method, path):
            return PlainTextResponse("This route is closed.", 403)
        if method not in ("POST", "PUT", "PATCH"):
            return None
        # Gradio reads bodies whole. Every browser announces the length, and so does our gateway.
        length = headers.get("content-length", "")
        if not length.isdigit():
            return PlainTextResponse("Announce the length of the body.", 411)
        takes_files = self._uploads and path in (UPLOAD, API_UPLOAD)
        limit = self._uploads.body_limit if self._uploads and takes_files else self._body_limit
        if int(length) > limit:
            return PlainTextResponse("The body is too large.", 413)
        if self._uploads and path == UPLOAD and not self._uploads.have_room_for(int(length)):
            return PlainTextResponse("There is no room for uploads at the moment. Try again in a few minutes.", 507)
        return None

    def _is_open(self, method: str, path: str) -> bool:
        if path.startswith(GRADIO_ROUTES):
            return True
        if self._uploads is None:
            return False
        return (method == "POST" and path == UPLOAD) or self._uploads.is_one(path)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                if name not in headers:  # a page of ours that needs less allows less
                    headers[name] = value
        await send(message)

    return send_with_headers
