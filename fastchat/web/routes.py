"""What the page's server answers beside Gradio: health, icon, shared conversations, who is there,
and whether models have changed.
"""

from collections.abc import Sequence
from secrets import token_hex

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from fastchat.access.settings import Access
from fastchat.arena.service import Arena
from fastchat.arena.views import share_path
from fastchat.client.fleet import Fleet
from fastchat.core.errors import NotFound
from fastchat.web import shared_page, theme
from fastchat.web.look import style_of, title_of
from fastchat.web.models import version_of
from fastchat.web.settings import WebSettings
from fastchat.web.texts import Catalogue

_NEVER_KEPT = {"cache-control": "no-store"}


def own_routes(
    arena: Arena, fleet: Fleet, access: Access, catalogue: Catalogue, settings: WebSettings
) -> Sequence[BaseRoute]:
    instance = token_hex(8)  # another one after a restart, which has forgotten what open pages show

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def favicon(_: Request) -> Response:
        return Response(theme.asset("icon.svg"), media_type="image/svg+xml")

    async def docs(_: Request) -> Response:
        """Behind the gateway this path is the gateway's own page; where the page runs alone, its link leads there."""
        api = access.root if settings.shown_api_url is None else settings.shown_api_url.rstrip("/")
        return RedirectResponse(f"{api}/docs")

    async def changes(_: Request) -> Response:
        """Asked by every open page every few seconds, so it costs next to nothing and tells no name."""
        return PlainTextResponse(f"{instance} {version_of(list(fleet.models))}", headers=_NEVER_KEPT)

    async def account(request: Request) -> Response:
        """For the page's own corner: who it is, and where the way in and out begins."""
        who = access.visitors.of(request)
        said = {
            "name": who.person.name if who.person else None,
            "is_admin": who.is_admin,
            "has_logins": access.visitors.directory.asks_for_login,
            "root": access.root,
        }
        return JSONResponse(said, headers=_NEVER_KEPT)

    async def shared(request: Request) -> Response:
        share_id = request.path_params["share_id"]
        reads = request.headers.get("accept-language", "")
        try:
            view = await arena.shared(share_id, access.visitors.of(request))
        except NotFound:
            return PlainTextResponse(catalogue.best(reads)("not_shared"), 404, headers=_NEVER_KEPT)
        config = arena.configs[view.arena]
        files = f"../api/arena/shared/{share_id}/files/"
        texts = catalogue.best(reads, fixed=config.language)
        product = title_of(view.arena, config)
        style = style_of(config.look)
        page = shared_page.shared_page(view, texts, root="../", files=files, product=product, style=style)
        return HTMLResponse(page, headers=shared_page.HEADERS)

    return [
        Route("/health", health),
        Route("/favicon.ico", favicon),
        Route("/docs", docs),
        Route("/models-version", changes),
        Route("/whoami", account),
        Route(share_path("{share_id}"), shared),
    ]
