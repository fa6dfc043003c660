"""An arena's server without Gradio: the API and the pages beside the conversation, behind the login as in `web.app`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from fastchat.access.addresses import TrustedProxies
from fastchat.access.directory import Directory
from fastchat.access.gate import LoginGate
from fastchat.access.passwords import Passwords
from fastchat.access.same_origin import SameOriginOnly
from fastchat.access.sign_in import SignIn
from fastchat.access.visitors import Visitors, VoterCookies
from fastchat.arena.api import create_api
from fastchat.arena.config import ArenaConfig
from fastchat.core.http import Edge
from fastchat.protocol.openai import error_reply
from fastchat.web.security import Guard
from tests.arena.service.http import serving
from tests.arena.service.stage import KEY, Stage, stage
from tests.clocks import Clock

PEOPLE = {"ada": "enigma", "root": "toor"}


def visitors_of(people: Mapping[str, str] | None) -> Visitors:
    directory = Directory(passwords=Passwords(people), admins=("root",)) if people else Directory()
    return Visitors(KEY, directory, TrustedProxies(), clock=Clock())


def site(
    on: Stage, visitors: Visitors, *routers: APIRouter, pages: Mapping[str, str] | None = None, is_open: bool = False
) -> ASGIApp:
    """`pages`: HTML by path, in the place of Gradio's. `is_open`: there are logins, but nobody has to use them."""
    app = FastAPI(openapi_url=None)
    app.router.routes.extend(SignIn(visitors).routes())
    for router in (create_api(on.arena, visitors.of), *routers):
        app.include_router(router)
    for path, html in (pages or {}).items():
        app.add_api_route(path, _page(html), include_in_schema=False)
    guarded = Guard(app, body_limit=2**20)
    gate = guarded if is_open else LoginGate(guarded, visitors)
    return Edge(VoterCookies(SameOriginOnly(gate, visitors.proxies), visitors.proxies), error_reply)


def _page(html: str) -> Any:
    async def page() -> HTMLResponse:
        return HTMLResponse(html)

    return page


@asynccontextmanager
async def staged(folder: Path, **arenas: ArenaConfig) -> AsyncIterator[Stage]:
    async with stage(folder, folder / "template.sqlite", arenas=arenas or None) as on:
        yield on


__all__ = ["PEOPLE", "serving", "site", "staged", "visitors_of"]
