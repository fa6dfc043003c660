"""A leaderboard by itself, without models and without an arena: from a board's file, or from FastChat's logs.

They are read again every few minutes. What the logs say besides, how much was asked and of whom, is a second page.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from fastchat.access.settings import Access
from fastchat.arena.cleaning.activity import Activity, Counts, activity
from fastchat.arena.config import DEFAULT
from fastchat.arena.leaderboard.board import Board
from fastchat.core.errors import SetupError
from fastchat.core.http import Edge
from fastchat.protocol.openai import error_reply
from fastchat.web.leaderboard import Leaderboard, leaderboard_place, leaderboard_router
from fastchat.web.markup import escaped
from fastchat.web.packaged import packaged
from fastchat.web.result_files import Results
from fastchat.web.security import Guard
from fastchat.web.tables import Cell, Column, Table, table_html
from fastchat.web.texts import Catalogue, Texts

log = logging.getLogger(__name__)

_BODY_LIMIT = 2**16
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
# The leaderboard's style sheet speaks of Gradio's colours.
_COLOURS = (
    ":root{--border-color-primary:var(--line);--background-fill-primary:var(--surface);"
    "--background-fill-secondary:var(--sunken);--body-text-color:var(--ink);--body-text-color-subdued:var(--ink-soft);"
    "--border-color-accent:var(--accent);--link-text-color:var(--accent);--code-background-fill:var(--sunken)}"
)


@asynccontextmanager
async def kept_fresh(board: Leaderboard, read: Callable[[], Results], every_s: float) -> AsyncIterator[None]:
    """`read` runs in a thread; while it finds nothing that can be read, what was there before stays."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                board.replace(await asyncio.to_thread(read))
            except SetupError as error:
                log.warning("The leaderboard stays as it was: %s", error.message)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def monitor_app(
    board: Leaderboard, access: Access, logs: Callable[[], Sequence[Path]] | None, *, style: str = ""
) -> ASGIApp:
    """`logs`: FastChat's, to be counted on the second page; None: there is none. `style`: colours as properties."""
    catalogue = Catalogue.load()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.extend(access.sign_in.routes())
    app.include_router(leaderboard_router(board, access.visitors.of, catalogue, lambda _: None))

    def page(request: Request, inside: str, script: str = "") -> Response:
        texts = catalogue.best(request.headers.get("accept-language", ""))
        return HTMLResponse(_page(inside, script, texts, style, has_stats=logs is not None), headers=_HEADERS)

    @app.get("/")
    async def leaderboard(request: Request) -> Response:
        texts = catalogue.best(request.headers.get("accept-language", ""))
        place = f'<div id="fc-leaderboard">{leaderboard_place(DEFAULT, texts)}</div>'
        return page(request, place, '<script src="script.js" defer></script>')

    @app.get("/script.js")
    async def script() -> Response:
        called = f'((element) => {{{packaged("leaderboard.js")}}})(document.getElementById("fc-leaderboard"));'
        return Response(called, media_type="text/javascript", headers=_HEADERS)

    @app.get("/health")
    async def health() -> Response:
        return Response('{"status": "ok"}', media_type="application/json")

    if logs is not None:

        @app.get("/stats")
        async def stats(request: Request) -> Response:
            try:
                found = await asyncio.to_thread(lambda: activity(logs(), UTC))
                inside = "".join(map(table_html, stats_tables(found)))
            except SetupError as error:
                inside = f"<p>{escaped(error.message)}</p>"
            return page(request, f'<div id="fc-leaderboard"><section class="fc-board">{inside}</section></div>')

    return Edge(access.around(Guard(app, body_limit=_BODY_LIMIT)), error_reply)


def stats_tables(found: Activity) -> Iterator[Table]:
    """Actions, calls of models and anonymous votes, ever and lately; chats by hour and by day."""
    for title, of in (
        ("Actions", lambda counts: counts.actions),
        ("Calls of models", lambda counts: counts.models),
        ("Anonymous votes", lambda counts: counts.anonymous_votes),
    ):
        periods: list[Counts] = [found.ever, found.last_day, found.last_hour]
        ever, *lately = map(of, periods)
        names = sorted(ever, key=lambda name: (-ever[name], name))
        rows = [[Cell(name), *(Cell(f"{counts[name]:,}") for counts in (ever, *lately))] for name in names]
        heads = [Column(title), *(Column(period, True) for period in ("All", "Last day", "Last hour"))]
        yield Table(title, heads, rows)
    if found.until is not None:
        ends = [found.until - 3600 * hour for hour in range(len(found.chats_by_hour))]
        hours = [
            [Cell(f"{datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M} UTC"), Cell(f"{chats:,}")]
            for end, chats in zip(ends, found.chats_by_hour, strict=True)
        ]
        yield Table("Chats by hour", [Column("Hour until"), Column("Chats", True)], hours)
    days = [
        [Cell(day), Cell(f"{counts.actions['chat']:,}"), Cell(f"{counts.anonymous_votes.total():,}")]
        for day, counts in reversed(list(found.by_day.items()))
    ]
    yield Table("Days", [Column("Day"), Column("Chats", True), Column("Anonymous votes", True)], days)


def from_logs(logs: Sequence[Path], *, exclude: Sequence[str] = (), banned: Path | None = None) -> Board:
    """A board of the battles in FastChat's logs, cleaned as `fastchat votes clean` does.

    Raises:
        SetupError: there is no vote in them, or a file cannot be read.
        MissingPackage: polars is not installed.
    """
    from fastchat.arena.cleaning.battles import clean_battles
    from fastchat.arena.cleaning.choosing import CleaningOptions, read_banned
    from fastchat.arena.cleaning.renames import renames
    from fastchat.arena.leaderboard.building import BoardOptions, build

    options = CleaningOptions(
        anonymous_only=True,
        excluded_models=tuple(exclude),
        banned_voters=read_banned(banned) if banned is not None else (),
    )
    found = clean_battles(logs, options, renames(None))
    if not len(found.table):
        raise SetupError(f"In these {len(logs)} logs there is no vote that counts.")
    board = build(found.table, BoardOptions(), now=time.time())
    return board.model_copy(update={"cleaning": found.steps}).sealed()


def _page(inside: str, script: str, texts: Texts, style: str, *, has_stats: bool) -> str:
    stats = '<a href="stats">Basic stats</a>' if has_stats else ""
    nav = f'<nav><a href="./">{texts.html("leaderboard")}</a>{stats}</nav>'
    return (
        f'<!doctype html><html lang="{texts.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{texts.html('leaderboard')} · FastChat</title>"
        f"<style>{style}{_COLOURS}{packaged('leaderboard.css')}{packaged('monitor.css')}</style>{script}</head>"
        f"<body><header><h1>FastChat</h1>{nav}</header><main>{inside}</main></body></html>"
    )
