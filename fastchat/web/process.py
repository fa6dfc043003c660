"""The life of a page's process: the fleet kept true in the background, the store it owns, the arena on top."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from fastchat.access.secret import load_key
from fastchat.access.settings import Access
from fastchat.arena.arenas_file import read_arenas
from fastchat.arena.config import DEFAULT, ArenaConfig
from fastchat.arena.exchange.exporting import ConversationLog
from fastchat.arena.happenings import Tell, tell_nobody
from fastchat.arena.moderation.base import Moderator, Surroundings
from fastchat.arena.moderation.registry import load as load_moderators
from fastchat.arena.oversight import Oversight
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
from fastchat.core.errors import SetupError
from fastchat.core.places import data_dir
from fastchat.web.leaderboard import Leaderboard
from fastchat.web.look import title_of
from fastchat.web.result_files import read_results
from fastchat.web.settings import Limits, Pace, WebSettings
from fastchat.web.sign_in_words import sign_in_words
from fastchat.web.texts import Catalogue
from fastchat.web.uploads import Uploads

DATABASE, LOG_KEY, SECRET = "arena.sqlite", "log-key.pem", "secret"

MODERATED_BY_OPENAI = "openai"  # what `--moderate` asks for where an arena names no moderator


@dataclass(frozen=True, slots=True)
class Backstage:
    """What the page is built upon."""

    arena: Arena
    fleet: Fleet
    access: Access
    uploads: Uploads
    oversight: Oversight
    board: Leaderboard


@asynccontextmanager
async def backstage(settings: WebSettings, pace: Pace, limits: Limits) -> AsyncIterator[Backstage]:
    """
    Raises:
        SetupError: a file or the database cannot be used.
    """
    folder = settings.data_dir or data_dir()
    secret = load_key(folder / SECRET)
    arenas = _arenas(settings)
    words = sign_in_words(Catalogue.load(), fixed=arenas[DEFAULT].language)
    access = settings.access(secret, product=title_of(DEFAULT, arenas[DEFAULT]), words=words)
    results = read_results(settings.elo_results_file, settings.leaderboard_table_file, settings.arena_hard_table)
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
        signer = Signer.load(folder / LOG_KEY)
        store = await stack.enter_async_context(open_store(settings.database_url or str(folder / DATABASE), signer))
        arena = await stack.enter_async_context(
            Arena(
                store=store,
                fleet=fleet,
                chat=chat,
                key=secret,
                arenas=arenas,
                moderators=await _moderators(settings, arenas, Surroundings(os.environ, session, chat)),
                tell=stack.enter_context(_record(settings.conv_log_dir)),
            )
        )
        oversight = Oversight(store, signer.public, wall=time.time)
        yield Backstage(arena, fleet, access, uploads, oversight, Leaderboard(results, arena.standings))


def _arenas(settings: WebSettings) -> Mapping[str, ArenaConfig]:
    arenas = {DEFAULT: ArenaConfig(), **(read_arenas(settings.arenas_file) if settings.arenas_file else {})}
    if settings.random_questions and arenas[DEFAULT].questions is None:
        arenas[DEFAULT] = arenas[DEFAULT].model_copy(update={"questions": settings.random_questions})
    return arenas


@contextlib.contextmanager
def _record(folder: Path | None) -> Iterator[Tell]:
    """FastChat's logs, where they are wanted."""
    if folder is None:
        yield tell_nobody
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"--conv-log-dir {folder} cannot be made: {error.strerror}.") from None
    with contextlib.closing(ConversationLog(folder)) as log:
        yield log.tell


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
