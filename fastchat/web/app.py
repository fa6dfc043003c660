"""The page's server: a FastAPI app of ours with the arena's API, what stands beside it, and a Gradio page an arena."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gradio as gr
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from fastchat.access.gate import OPEN_PATHS
from fastchat.access.settings import Access
from fastchat.arena.api import create_api
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.contenders import roster
from fastchat.arena.oversight import Oversight
from fastchat.arena.records import Mode
from fastchat.arena.service import Arena
from fastchat.client.fleet import Fleet
from fastchat.web import page, theme
from fastchat.web.bench import bench_routes
from fastchat.web.beside import Surroundings, beside, routers
from fastchat.web.chat import Backend
from fastchat.web.conversation import Conversations
from fastchat.web.entry import ArenaEntry, OwnPaths
from fastchat.web.history import History
from fastchat.web.leaderboard import Leaderboard
from fastchat.web.look import ENTRY, brand_html, place_of, title_of
from fastchat.web.routes import own_routes
from fastchat.web.security import Guard
from fastchat.web.settings import Limits, Pace, WebSettings
from fastchat.web.spoken import Spoken
from fastchat.web.texts import Catalogue, Wording
from fastchat.web.uploads import KEPT_S, LOOKED_AFTER_S, Uploads

# What is shared is read without a login, its pictures too; whether it may be, the arena says.
_OPEN_PATHS = (*OPEN_PATHS, "/s/", "/api/arena/shared/")


class WebApp(NamedTuple):
    asgi: ASGIApp
    let_go: Callable[[], None]  # ends the connections that open pages hold, so that the server can stop


@dataclass(frozen=True, slots=True)
class Parts:
    """What the command has built, and the pages show."""

    arena: Arena
    fleet: Fleet
    access: Access
    uploads: Uploads
    oversight: Oversight
    board: Leaderboard
    pace: Pace = field(default_factory=Pace)
    limits: Limits = field(default_factory=Limits)


def create_app(settings: WebSettings, parts: Parts) -> WebApp:
    """Must be called inside the loop that serves it: Gradio makes a loop of its own where it finds none.

    Raises:
        SetupError: an arena's colour, logo, origins or terms cannot be used, or there is no bench to show.
    """
    arena, access = parts.arena, parts.access
    around = Surroundings(
        arena=arena,
        visitors=access.visitors,
        oversight=parts.oversight,
        board=parts.board,
        catalogue=Catalogue.load(),
        product=title_of(DEFAULT, arena.configs[DEFAULT]),
        root=access.root,
        style=theme.colours(),
        shows_terms_always=settings.show_terms_of_use,
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.extend(access.sign_in.routes())
    for router in (create_api(arena, access.visitors.of), *routers(around)):
        app.include_router(router)
    app.router.routes.extend(own_routes(arena, parts.fleet, access, around.catalogue, settings))
    if settings.bench:
        app.router.routes.extend(bench_routes(settings.bench, access.root))
    pages = [_mount_page(app, name, settings, parts, around) for name in _shown(arena, settings)]

    def let_go() -> None:
        arena.let_go()
        for gradio_app in pages:
            gradio_app.stop_event.set()

    guarded = Guard(app, body_limit=parts.limits.body_bytes, uploads=parts.uploads)
    entered = ArenaEntry(
        guarded,
        arena,
        access.visitors.of,
        has_logins=access.visitors.directory.asks_for_login,
        root=access.root,
    )
    return WebApp(OwnPaths(access.around(entered, open_paths=_OPEN_PATHS)), let_go)


def _shown(arena: Arena, settings: WebSettings) -> Iterator[str]:
    """Arenas with a page. The one at the root comes last, because everything that nobody else answers is its."""
    if settings.arena:
        yield from (name for name in arena.configs if name != DEFAULT)
    yield DEFAULT


def _mount_page(app: FastAPI, name: str, settings: WebSettings, parts: Parts, around: Surroundings) -> Any:
    """The same page for every arena, told apart by its configuration. Any: Gradio is untyped."""
    config = parts.arena.configs[name]
    wording = Wording(around.catalogue, config.language)
    surroundings = beside(around, name=name, is_arena=settings.arena)
    backend = Backend(
        arena=parts.arena,
        identify=parts.access.visitors.of,
        pace=parts.pace,
        running=lambda: list(roster(parts.fleet.models, config, {})),
        name=name,
        api_url=settings.shown_api_url,
        needs_key=settings.shows_key,
        wording=wording,
    )
    conversations = [
        Conversations(mode, config, backend, parts.limits, settings.concurrency_count)
        for mode in _modes(config, settings)
    ]
    title = title_of(name, config)
    blocks = page.build(
        [*conversations, *surroundings.views],
        History(parts.arena, parts.access.visitors.of, name, wording),
        title=title,
        brand=brand_html(name, config, theme.brand(title)),
        pace=parts.pace,
        limits=parts.limits,
        follows_models=settings.model_list_mode == "reload",
    )
    blocks.delete_cache = (LOOKED_AFTER_S, KEPT_S)
    path = "/" if name == DEFAULT else f"{ENTRY}{name}"
    root = settings.gradio_root_path if name == DEFAULT else f"{(settings.gradio_root_path or '').rstrip('/')}{path}"
    gr.mount_gradio_app(
        app,
        blocks,
        path=path,
        app_kwargs={"openapi_url": None},
        root_path=root,
        theme=theme.theme(),
        head=theme.head() + surroundings.head,
        i18n=surroundings.texts,
        footer_links=[],
        run_history=False,  # would keep copies of conversations in the browser
        show_error=False,  # what goes wrong is said on the page; a traceback is for the log
        max_file_size=parts.limits.upload_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
    )
    mounted: Any = app.router.routes[-1]
    mounted.app.user_middleware.append(Middleware(Spoken, wording=wording))  # at the end: innermost
    if name != DEFAULT:
        app.router.routes[-1] = Mount(path, _at_its_root(mounted.app))
    return mounted.app


def _modes(config: ArenaConfig, settings: WebSettings) -> list[Mode]:
    return [mode for mode in Mode if mode in config.modes] if settings.arena else [Mode.DIRECT]


def _at_its_root(app: ASGIApp) -> ASGIApp:
    """Gradio is told where browsers find its page, and takes that for what stands before every path it is asked for.

    Behind a proxy that shows us under a path both differ, so what it is asked for stands before nothing.
    """

    async def at_its_root(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "path": place_of(scope["path"]).path, "root_path": ""}, receive, send)

    return at_its_root
