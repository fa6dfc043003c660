"""The page's whole app on a real socket, over an arena with scripted models, seen by a browser without a screen."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from fastchat.access.settings import Access
from fastchat.access.sign_in import SignIn, SignInOptions
from fastchat.arena.oversight import Oversight
from fastchat.arena.transparency.heads import Signer
from fastchat.web.app import Parts, WebApp, create_app
from fastchat.web.leaderboard import Leaderboard
from fastchat.web.result_files import Results
from fastchat.web.settings import Limits, WebSettings
from fastchat.web.uploads import Uploads
from tests.arena.service.stage import Stage
from tests.web.arena_site import PEOPLE, visitors_of

OURS = {"sec-fetch-site": "same-origin", "accept": "text/html"}


def whole_app(on: Stage, people: Mapping[str, str] | None = None, **settings: object) -> WebApp:
    told = WebSettings(**{"arena": True, **settings})
    visitors = visitors_of(people)
    options = SignInOptions(root_path=told.gradio_root_path or "")
    limits = Limits()
    parts = Parts(
        arena=on.arena,
        fleet=on.fleet,
        access=Access(visitors, SignIn(visitors, options=options), options.root),
        uploads=Uploads(on.folder, file_limit=limits.upload_bytes, total_limit=limits.uploads_bytes),
        oversight=Oversight(on.store, Signer.load(on.folder / "log.pem").public, wall=on.wall),
        board=Leaderboard(Results(), on.arena.standings),
    )
    return create_app(told, parts)


@asynccontextmanager
async def visiting(url: str, name: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """`name`: who is signed in."""
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.CookieJar(unsafe=True), headers=OURS) as session:
        if name:
            form = {"username": name, "password": PEOPLE[name]}
            async with session.post("/login", data=form, allow_redirects=False) as reply:
                assert reply.status == 303
        yield session


async def status(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path, allow_redirects=False) as reply:
        return reply.status
