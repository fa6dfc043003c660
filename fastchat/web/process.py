"""The life of a page's process: the fleet kept true in the background, the store it owns, the arena on top."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from fastchat.access.addresses import TrustedProxies
from fastchat.access.directory import Directory
from fastchat.access.passwords import Passwords
from fastchat.access.secret import load_key
from fastchat.access.visitors import Visitors
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.moderation.base import Moderator, Surroundings
from fastchat.arena.moderation.registry import load as load_moderators
from fastchat.arena.service import Arena
from fastchat.arena.store.store import open_store
from fastchat.arena.transparency.heads import Signer
from fastchat.client.chat import ChatClient
from fastchat.client.discovery import Discovery
from fastchat.client.endpoint_file import REGISTERED, load_endpoints
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe
from fastchat.client.polling import Polling
from fastchat.core.places import data_dir
from fastchat.web.arenas_file import read_arenas
from fastchat.web.settings import Limits, Pace, WebSettings
from fastchat.web.uploads import Uploads

DATABASE, LOG_KEY, SECRET = "arena.sqlite", "log-key.pem", "secret"

MODERATED_BY_OPENAI = "openai"  # what `--moderate` asks for where an arena names no moderator


@dataclass(frozen=True, slots=True)
class Backstage:
    """What the page is built upon."""

    arena: Arena
    fleet: Fleet
    visitors: Visitors
    uploads: Uploads
    config: ArenaConfig


@asynccontextmanager
async def backstage(settings: WebSettings, pace: Pace, limits: Limits) -> AsyncIterator[Backstage]:
    """
    Raises:
        SetupError: a file or the database cannot be used.
    """
    folder = settings.data_dir or data_dir()
    secret = load_key(folder / SECRET)
    arenas = {DEFAULT: ArenaConfig(), **(read_arenas(settings.arenas_file) if settings.arenas_file else {})}
    visitors = Visitors(secret, _directory(settings), _proxies(settings))
    async with AsyncExitStack() as stack:
        uploads = Uploads(
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fastchat-uploads-"))),
            file_limit=limits.upload_bytes,
            total_limit=limits.uploads_bytes,
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        fleet = Fleet()
        pipe = Pipe(fleet, Http1Client(connect_s=pace.connect_timeout_s, idle_s=pace.answer_timeout_s))
        stack.push_async_callback(pipe.close)
        await stack.enter_async_context(_followed(settings, fleet, session))
        chat = ChatClient(fleet, pipe)
        store = await stack.enter_async_context(
            open_store(settings.database_url or str(folder / DATABASE), Signer.load(folder / LOG_KEY))
        )
        arena = await stack.enter_async_context(
            Arena(
                store=store,
                fleet=fleet,
                chat=chat,
                key=secret,
                arenas=arenas,
                moderators=await _moderators(settings, arenas, Surroundings(os.environ, session, chat)),
            )
        )
        yield Backstage(arena, fleet, visitors, uploads, arenas[DEFAULT])


def _directory(settings: WebSettings) -> Directory:
    return Directory(Passwords.load(settings.gradio_auth_path)) if settings.gradio_auth_path else Directory()


def _proxies(settings: WebSettings) -> TrustedProxies:
    # Whoever handed us a socket stands in front of us.
    return TrustedProxies.parse(settings.trusted_proxies or (("loopback",) if settings.fd is not None else ()))


async def _moderators(
    settings: WebSettings, arenas: Mapping[str, ArenaConfig], around: Surroundings
) -> Mapping[str, Moderator]:
    by_default = (MODERATED_BY_OPENAI,) if settings.moderate else ()
    return {
        name: await load_moderators(config.integrity.moderators or by_default, around)
        for name, config in arenas.items()
    }


@asynccontextmanager
async def _followed(settings: WebSettings, fleet: Fleet, session: aiohttp.ClientSession) -> AsyncIterator[None]:
    """The fleet is kept true by an API's list of models, else by the controller, and by the register file besides."""
    file = settings.register_api_endpoint_file
    controller_url = "" if settings.api_url else settings.controller_url
    if file or not (settings.api_url or controller_url):
        fleet.update(load_endpoints(file) if file else (), source=REGISTERED, is_complete=not controller_url)
    follower = None
    if settings.api_url:
        follower = asyncio.create_task(Polling(fleet, session, settings.api_url, settings.api_key).run())
    elif controller_url:
        follower = asyncio.create_task(Discovery(fleet, session, controller_url, settings.token).run())
    try:
        yield
    finally:
        if follower is not None:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
