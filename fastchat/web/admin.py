"""The admins' page, `/admin`: plain HTML and a script over `/api/arena/admin`. Without a login nobody sees it."""

from collections.abc import Callable
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from fastchat.access.people import Visitor
from fastchat.core.errors import AuthenticationFailed, FastChatError
from fastchat.web.markup import escaped
from fastchat.web.packaged import packaged

# Nothing from elsewhere, and of ours only what stands in the page: its script has this very text.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}


def admin_router(
    identify: Callable[[Request], Visitor], *, product: str, has_logins: bool, root: str = "", style: str = ""
) -> APIRouter:
    """`root` is the path a proxy shows us under; `style` the colours as custom properties."""
    router = APIRouter(include_in_schema=False)

    def refusal(request: Request) -> Response | None:
        try:
            identify(request).require_admin()
        except AuthenticationFailed as error:
            if has_logins:
                return RedirectResponse(f"{root}/login?next={quote('/admin')}", 303, {"cache-control": "no-store"})
            words = f"{error.message} This server has no logins: give it some with --gradio-auth-path."
            return _refused(words, error.status)
        except FastChatError as error:
            return _refused(error.message, error.status)
        return None

    @router.get("/admin")
    async def page(request: Request) -> Response:
        if refused := refusal(request):
            return refused
        text = packaged("admin.html").replace("{product}", escaped(product)).replace("{root}", escaped(root))
        return HTMLResponse(text.replace("{style}", style + packaged("admin.css")), headers=_HEADERS)

    @router.get("/admin/script.js")
    async def script(request: Request) -> Response:
        if refused := refusal(request):
            return refused
        return Response(packaged("admin.js"), media_type="text/javascript", headers=_HEADERS)

    return router


def _refused(words: str, status: int) -> Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Not for you</title><p>{escaped(words)}</p></html>'
    )
    return HTMLResponse(text, status, _HEADERS)
