"""The page's server: a FastAPI app of ours with the arena's API, the shared pages, and Gradio mounted at its root."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gradio as gr
from fastapi import APIRouter, FastAPI
from starlette.routing import Mount
from starlette.types import ASGIApp

from fastchat.access.gate import LoginGate
from fastchat.access.same_origin import SameOriginOnly
from fastchat.access.sign_in import SignIn, SignInOptions
from fastchat.access.visitors import Visitors, VoterCookies
from fastchat.arena.api import create_api
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.records import Mode
from fastchat.arena.service import Arena
from fastchat.client.fleet import Fleet
from fastchat.web import page, theme
from fastchat.web.chat import Backend
from fastchat.web.conversation import Conversations
from fastchat.web.following import Traffic
from fastchat.web.history import History
from fastchat.web.routes import own_routes
from fastchat.web.security import Guard
from fastchat.web.settings import Limits, Pace, WebSettings
from fastchat.web.uploads import KEPT_S, LOOKED_AFTER_S, Uploads


class WebApp(NamedTuple):
    asgi: ASGIApp
    let_go: Callable[[], None]  # ends the connections that open pages hold, so that the server can stop


@dataclass(frozen=True, slots=True)
class Parts:
    """What the command has built, and the page shows."""

    arena: Arena
    fleet: Fleet
    visitors: Visitors
    uploads: Uploads
    config: ArenaConfig = field(default_factory=ArenaConfig)
    routers: Sequence[APIRouter] = ()  # further routes
    views: Sequence[page.View] = ()  # further tabs
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None
    pace: Pace = field(default_factory=Pace)
    limits: Limits = field(default_factory=Limits)


def create_app(settings: WebSettings, parts: Parts) -> WebApp:
    """Must be called inside the loop that serves it: Gradio makes a loop of its own where it finds none."""
    pace, limits = parts.pace, parts.limits
    product = parts.config.look.name or "FastChat"
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=parts.lifespan)
    sign_in = SignInOptions(product=product, public_url=settings.public_url)
    app.router.routes.extend(SignIn(parts.visitors, options=sign_in).routes())
    for router in (create_api(parts.arena, parts.visitors.of), *parts.routers):
        app.include_router(router)
    app.router.routes.extend(own_routes(parts.arena, parts.fleet, parts.visitors.identify, settings, product))
    backend = Backend(
        arena=parts.arena,
        identify=parts.visitors.of,
        pace=pace,
        traffic=Traffic(),
        running=lambda: list(parts.fleet.models),
        api_url=settings.shown_api_url,
        needs_key=settings.api_needs_key,
    )
    modes = [mode for mode in Mode if mode in parts.config.modes] if settings.arena else [Mode.DIRECT]
    conversations = [Conversations(mode, parts.config, backend, limits, settings.concurrency_count) for mode in modes]
    blocks = page.build(
        [*conversations, *parts.views],
        History(parts.arena, parts.visitors.of, DEFAULT),
        title=product,
        pace=pace,
        limits=limits,
        follows_models=settings.model_list_mode == "reload",
    )
    blocks.delete_cache = (LOOKED_AFTER_S, KEPT_S)
    _mount(app, blocks, settings, limits)
    gradio_app: Any = next(route.app for route in app.routes if isinstance(route, Mount))  # Any: Gradio is untyped
    guarded = Guard(app, body_limit=limits.body_bytes, uploads=parts.uploads)
    return WebApp(_for_visitors(guarded, parts.visitors, sign_in.root), gradio_app.stop_event.set)


def _for_visitors(app: ASGIApp, visitors: Visitors, root: str) -> ASGIApp:
    """Outermost the cookie by which a voter is known again, then whose page called, then who may come in."""
    gate = LoginGate(app, visitors, root=root)
    return VoterCookies(SameOriginOnly(gate, visitors.proxies), visitors.proxies)


def _mount(app: FastAPI, blocks: gr.Blocks, settings: WebSettings, limits: Limits) -> None:
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        app_kwargs={"openapi_url": None},
        root_path=settings.gradio_root_path,
        theme=theme.theme(),
        head=theme.head(),
        footer_links=[],
        run_history=False,  # would keep copies of conversations in the browser
        show_error=False,  # what goes wrong is said on the page; a traceback is for the log
        max_file_size=limits.upload_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
    )
