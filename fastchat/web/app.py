"""The page's server: a FastAPI app of ours with Gradio mounted at its root."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from math import inf
from typing import Any, NamedTuple

import gradio as gr
import openai
from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp

from fastchat.web import page, theme
from fastchat.web.chat import Chat
from fastchat.web.logins import Login
from fastchat.web.models import ModelList
from fastchat.web.security import Guard
from fastchat.web.settings import API_URL, Limits, Pace, WebSettings


class WebApp(NamedTuple):
    asgi: ASGIApp
    let_go: Callable[[], None]  # ends the connections that open pages hold, so that the server can stop


def create_app(
    settings: WebSettings, *, logins: Sequence[Login] = (), pace: Pace | None = None, limits: Limits | None = None
) -> WebApp:
    """Must be called inside the loop that serves it: Gradio makes a loop of its own where it finds none."""
    pace, limits = pace or Pace(), limits or Limits()
    api_url = (settings.api_url or API_URL).rstrip("/")
    client = openai.AsyncOpenAI(
        base_url=f"{api_url}/v1",
        api_key=settings.api_key,
        max_retries=0,  # the gateway has tried every other worker already
        timeout=openai.Timeout(pace.answer_timeout_s, connect=pace.connect_timeout_s),
    )
    models = ModelList(
        client,
        fresh_s=inf if settings.model_list_mode == "once" else pace.models_fresh_s,
        timeout_s=pace.models_timeout_s,
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_closing(client))

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/favicon.ico")
    async def favicon() -> Response:
        return Response(theme.asset("icon.svg"), media_type="image/svg+xml")

    @app.get("/docs")
    async def docs() -> RedirectResponse:
        """Behind the gateway this path is the gateway's own page; where the page runs alone, its link leads there."""
        return RedirectResponse(f"{api_url}/docs")

    chat = Chat(client, models, pace, api_url=settings.shown_api_url)
    blocks = page.build(chat, pace=pace, limits=limits, answers_at_once=settings.concurrency_count)
    _mount(app, blocks, settings, logins)
    gradio_app: Any = next(route.app for route in app.routes if isinstance(route, Mount))  # Any: Gradio is untyped
    return WebApp(Guard(app, body_limit=limits.body_bytes), gradio_app.stop_event.set)


def _mount(app: FastAPI, blocks: gr.Blocks, settings: WebSettings, logins: Sequence[Login]) -> None:
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        app_kwargs={"openapi_url": None},
        auth=[(login.user, login.password) for login in logins] or None,
        root_path=settings.gradio_root_path,
        theme=theme.theme(),
        head=theme.head(),
        footer_links=[],
        run_history=False,  # would keep copies of conversations in the browser
        show_error=False,  # what goes wrong is said in the chat; a traceback is for the log
        max_file_size=1,  # nothing is uploaded; `security` closes the route as well
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
    )


def _closing(client: openai.AsyncOpenAI) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    return lifespan
