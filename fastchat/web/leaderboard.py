"""The leaderboard: what this arena's voters said so far, and tables from FastChat's files.

The tables are HTML of ours. Whoever looks for a model filters what is there; another table or category is fetched.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import HTMLResponse

from fastchat.access.people import Visitor
from fastchat.arena.api import ErrorsInWords
from fastchat.arena.config import DEFAULT
from fastchat.arena.standings import Standings
from fastchat.core.errors import NotFound
from fastchat.web.boards import (
    Board,
    Cell,
    Column,
    arena_board,
    category_title,
    full_board,
    hard_board,
    live_board,
)
from fastchat.web.markup import escaped
from fastchat.web.packaged import packaged
from fastchat.web.result_files import Category, Results
from fastchat.web.texts import Catalogue, Texts

LIVE, ARENA, FULL, HARD = "live", "arena", "full", "hard"

LiveStandings = Callable[[Visitor, str], Standings]  # of an arena, if this visitor may see it


class Leaderboard:
    """Chooses what is shown. `live` is None where there is no arena to count."""

    def __init__(self, results: Results, live: LiveStandings | None) -> None:
        self._results = results
        self._live = live

    @property
    def is_empty(self) -> bool:
        return self._live is None and self._results.is_empty

    def html(
        self, who: Visitor, arena: str, texts: Texts, *, table: str | None = None, category: str | None = None
    ) -> str:
        """What cannot be had is answered with what there is; the page says which it is.

        Raises:
            NotFound: there is no table at all.
            NotFound, PermissionDenied, AuthenticationFailed: this arena is not for them.
        """
        tables = self._tables
        if not tables:
            raise NotFound("There is no leaderboard here.")
        table = table if table in tables else tables[0]
        found = next((one for one in self._results.categories if one.id == category), None)
        if table == LIVE and self._live is not None:
            board = live_board(self._live(who, arena), texts)
        elif table == FULL:
            board = full_board(self._results, texts)
        elif table == HARD:
            board = hard_board(self._results, texts)
        else:
            found = found or self._results.categories[0]
            board = arena_board(found, self._results, texts)
        chosen = _chooser(tables, table, self._results.categories if table == ARENA else (), found, texts)
        return _section(board, chosen, arena, texts, is_live=table == LIVE)

    def version(self, who: Visitor, arena: str) -> str:
        """Another one after each vote that counts.

        Raises:
            NotFound, PermissionDenied, AuthenticationFailed: this arena is not for them.
        """
        return f"{hash(self._live(who, arena)) if self._live else 0:x}"

    @property
    def _tables(self) -> list[str]:
        has = {
            LIVE: self._live is not None,
            ARENA: bool(self._results.categories),
            FULL: self._results.facts is not None,
            HARD: self._results.hard is not None,
        }
        return [name for name, is_there in has.items() if is_there]


def _section(board: Board, chooser: str, arena: str, texts: Texts, *, is_live: bool) -> str:
    body = _table(board, texts) if board.rows else f'<p class="fc-board-empty">{texts.html("board_empty")}</p>'
    notes = "".join(f"<p>{escaped(note)}</p>" for note in board.notes)
    live = " data-live" if is_live else ""
    count = texts.html("board_count", shown="#", total=len(board.rows))
    return (
        f'<section class="fc-board" data-arena="{escaped(arena)}"{live} aria-label="{texts.html("leaderboard")}">'
        f'<h2>{escaped(board.title)}</h2>{chooser}<div class="fc-board-notes">{notes}</div>{body}'
        f'<p class="fc-board-count" role="status" data-text="{count}"></p></section>'
    )


def _chooser(
    tables: Sequence[str], table: str, categories: Sequence[Category], chosen: Category | None, texts: Texts
) -> str:
    options = "".join(_option(name, texts(f"board_{name}"), name == table) for name in tables)
    which = _select("table", texts("board_table"), options) if len(tables) > 1 else ""
    groups = list(dict.fromkeys(one.group for one in categories))
    inside = ""
    for group in groups:
        items = "".join(_option(one.id, category_title(one), one is chosen) for one in categories if one.group == group)
        inside += f'<optgroup label="{escaped(group.capitalize())}">{items}</optgroup>' if len(groups) > 1 else items
    what = _select("category", texts("category"), inside) if len(categories) > 1 else ""
    search = f'<label>{texts.html("board_filter")}<input type="search" autocomplete="off" spellcheck="false"></label>'
    name = texts.html("board_choice")
    return f'<div class="fc-board-choice" role="group" aria-label="{name}">{which}{what}{search}</div>'


def _select(name: str, label: str, options: str) -> str:
    return f'<label>{escaped(label)}<select name="{name}">{options}</select></label>'


def _option(value: str, title: str, is_chosen: bool) -> str:
    return f'<option value="{escaped(value)}"{" selected" if is_chosen else ""}>{escaped(title)}</option>'


def _table(board: Board, texts: Texts) -> str:
    heads = "".join(_head(column, texts) for column in board.columns)
    rows = "".join(_row(board, at, cells) for at, cells in enumerate(board.rows))
    title = escaped(board.title)
    return (
        f'<div class="fc-board-scroll" role="region" tabindex="0" aria-label="{title}"><table>'
        f'<caption class="fc-hidden">{title}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _head(column: Column, texts: Texts) -> str:
    title = texts.html(column.title) if column.title in texts.strings else escaped(column.title)  # names of benchmarks
    kind = ' class="fc-number"' if column.is_number else ""
    return f'<th scope="col"{kind}><button type="button">{title}</button></th>'


def _row(board: Board, at: int, cells: Sequence[Cell]) -> str:
    inside = "".join(_cells(board.columns, cells))
    kind = ' class="fc-dimmed"' if at in board.dimmed else ""
    return f"<tr{kind}>{inside}</tr>"


def _cells(columns: Sequence[Column], cells: Sequence[Cell]) -> Iterator[str]:
    for at, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        sort = "" if cell.sort is None else f' data-sort="{cell.sort}"'
        kind = ' class="fc-number"' if column.is_number else ""
        text = escaped(cell.text)
        if cell.link:
            text = f'<a href="{escaped(cell.link)}" target="_blank" rel="noopener noreferrer nofollow">{text}</a>'
        tag = 'th scope="row"' if at == 0 else "td"
        yield f"<{tag}{kind}{sort}>{text}{cell.extra}</{tag[:2]}>"


def leaderboard_router(
    board: Leaderboard,
    identify: Callable[[Request], Visitor],
    catalogue: Catalogue,
    language: Callable[[str], str | None],
) -> APIRouter:
    """`language` is that of an arena, if it has one of its own."""
    router = APIRouter(route_class=ErrorsInWords, include_in_schema=False)

    @router.get("/leaderboard/table")
    async def show(
        request: Request,
        arena: str = DEFAULT,
        table: str | None = None,
        category: str | None = None,
        accept_language: Annotated[str, Header()] = "",
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        """An open page asks every second or two, and is told nothing as long as nobody voted."""
        who, texts = identify(request), catalogue.best(accept_language, fixed=language(arena))
        headers = {"etag": f'"{board.version(who, arena)}-{texts.language}"'}
        if if_none_match == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(board.html(who, arena, texts, table=table, category=category), headers=headers)

    return router


class LeaderboardView:
    """The tab: an empty place, which its script fills whenever it comes into sight. Gradio has no part in it."""

    slug = "leaderboard"

    def __init__(self, arena: str, texts: Texts, *, root: str = "") -> None:
        from gradio.i18n import I18nData

        self.title = I18nData("leaderboard")
        self._arena = arena
        self._texts = texts
        self._root = root

    def build(self, page: Any, frame: Any) -> None:  # Any: Gradio is untyped
        """Called inside of its tab."""
        import gradio as gr

        failed = self._texts.html("board_failed")
        place = (
            f'<div class="fc-board-place" data-arena="{escaped(self._arena)}" data-root="{escaped(self._root)}" '
            f'data-failed="{failed}"></div>'
        )
        gr.HTML(place, elem_id="fc-leaderboard", js_on_load=packaged("leaderboard.js"), apply_default_css=False)
