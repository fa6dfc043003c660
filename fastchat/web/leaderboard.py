"""The leaderboard: how this arena's voters rate the models at the moment, boards from files, tables from FastChat's.

The tables are HTML of ours. Whoever looks for a model filters what is there; other tables and charts are fetched.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from fastchat.access.people import Visitor
from fastchat.arena.api import ErrorsInWords
from fastchat.arena.config import DEFAULT
from fastchat.arena.standings import Standings
from fastchat.core.errors import NotFound
from fastchat.web import rated
from fastchat.web.boards import Page, arena_board, category_title, full_board, hard_board
from fastchat.web.charts import RATINGS, chart, charts_of
from fastchat.web.markup import escaped
from fastchat.web.packaged import packaged
from fastchat.web.panels import Panel, panels, paragraph
from fastchat.web.rated import Rated
from fastchat.web.ratings_table import legend, ratings_table
from fastchat.web.result_files import Category, Results
from fastchat.web.tables import Table, table_html
from fastchat.web.texts import Catalogue, Texts

LIVE, BUILT, ARENA, FULL, HARD = "live", "built", "arena", "full", "hard"
CONTROLLED, RAW = "controlled", "raw"

LiveStandings = Callable[[Visitor, str], Standings]  # of an arena, if this visitor may see it


class Chosen(NamedTuple):
    """What a reader wants to see. What cannot be had is answered with what there is; the page says which it is."""

    table: str | None = None
    category: str | None = None
    ratings: str | None = None


class Leaderboard:
    """Chooses what is shown. `live` is None where there is no arena to count."""

    def __init__(self, results: Results, live: LiveStandings | None) -> None:
        self._results = results
        self._live = live
        self._edition = 0

    def replace(self, results: Results) -> None:
        """Newer ones."""
        self._results = results
        self._edition += 1

    @property
    def is_empty(self) -> bool:
        return self._live is None and self._results.is_empty

    async def html(self, who: Visitor, arena: str, texts: Texts, chosen: Chosen | None = None) -> str:
        """
        Raises:
            NotFound: there is no table at all.
            NotFound, PermissionDenied, AuthenticationFailed: this arena is not for them.
        """
        chosen = chosen or Chosen()
        table = self._table(chosen)
        ratings = await self._rated(who, arena, table, chosen, texts)
        if ratings is not None:
            chooser = self._chooser(table, _of_board(ratings, texts), texts)
            return _ratings_section(ratings, chooser, arena, texts, is_live=table == LIVE)
        found = None
        if table == FULL:
            page = full_board(self._results, texts)
        elif table == HARD:
            page = hard_board(self._results, texts)
        else:
            categories = self._results.categories
            found = next((one for one in categories if one.id == chosen.category), categories[0])
            page = arena_board(found, self._results, texts)
        selects = [] if found is None else _of_files(self._results.categories, found, texts)
        return _section(page, self._chooser(table, selects, texts), arena, texts)

    async def chart(self, who: Visitor, arena: str, texts: Texts, chosen: Chosen, name: str) -> str:
        """
        Raises:
            NotFound: there is no such chart of what was chosen; and as of `html`.
        """
        ratings = await self._rated(who, arena, self._table(chosen), chosen, texts)
        if ratings is None or name not in charts_of(ratings):
            raise NotFound("There is no such chart.")
        return await chart(name, ratings, texts)

    def version(self, who: Visitor, arena: str) -> str:
        """Another one after each vote that counts, and with other files.

        Raises:
            NotFound, PermissionDenied, AuthenticationFailed: this arena is not for them.
        """
        return f"{self._live(who, arena).version if self._live else 0}-{self._edition}"

    def built(self, who: Visitor, arena: str) -> str:
        """The board from a file, as a file.

        Raises:
            NotFound: there is none; and as of `html`.
        """
        self.version(who, arena)
        if self._results.board is None:
            raise NotFound("There is no board here that was built.")
        return self._results.board.model_dump_json(indent=1)

    def _table(self, chosen: Chosen) -> str:
        if not self._tables:
            raise NotFound("There is no leaderboard here.")
        return chosen.table if chosen.table in self._tables else self._tables[0]

    @property
    def _tables(self) -> list[str]:
        has = {
            LIVE: self._live is not None,
            BUILT: self._results.board is not None,
            ARENA: bool(self._results.categories),
            FULL: self._results.facts is not None,
            HARD: self._results.hard is not None,
        }
        return [name for name, is_there in has.items() if is_there]

    async def _rated(self, who: Visitor, arena: str, table: str, chosen: Chosen, texts: Texts) -> Rated | None:
        facts = self._results.facts or {}
        if table == LIVE and self._live is not None:
            return await rated.live(self._live(who, arena), chosen.category, arena, facts, texts)
        if table == BUILT and self._results.board is not None:
            return await rated.built(
                self._results.board, chosen.category, arena, facts, texts, is_raw=chosen.ratings == RAW
            )
        return None

    def _chooser(self, table: str, selects: Sequence[str], texts: Texts) -> str:
        options = "".join(_option(name, texts(f"board_{name}"), name == table) for name in self._tables)
        which = _select("table", texts("board_table"), options) if len(self._tables) > 1 else ""
        search = (
            f'<label>{texts.html("board_filter")}<input type="search" autocomplete="off" spellcheck="false"></label>'
        )
        name = texts.html("board_choice")
        inside = "".join([which, *selects, search])
        return f'<div class="fc-board-choice" role="group" aria-label="{name}">{inside}</div>'


def _of_board(shown: Rated, texts: Texts) -> list[str]:
    """What can be chosen of a board's ratings."""
    options = "".join(_option(name, rated.category_name(name, texts), name == shown.name) for name in shown.categories)
    categories = [_select("category", texts("category"), options)] if len(shown.categories) > 1 else []
    ways = "".join(_option(way, texts(f"board_{way}"), (way == RAW) == shown.is_raw) for way in (CONTROLLED, RAW))
    return [*categories, *([_select("ratings", texts("board_ratings"), ways)] if shown.can_be_raw else [])]


def _of_files(categories: Sequence[Category], chosen: Category, texts: Texts) -> list[str]:
    """What can be chosen of the categories of FastChat's files."""
    if len(categories) < 2:
        return []
    groups = list(dict.fromkeys(one.group for one in categories))
    inside = ""
    for group in groups:
        items = "".join(
            _option(one.id, category_title(one.key), one is chosen) for one in categories if one.group == group
        )
        inside += f'<optgroup label="{escaped(group.capitalize())}">{items}</optgroup>' if len(groups) > 1 else items
    return [_select("category", texts("category"), inside)]


def _select(name: str, label: str, options: str) -> str:
    return f'<label>{escaped(label)}<select name="{name}">{options}</select></label>'


def _option(value: str, title: str, is_chosen: bool) -> str:
    return f'<option value="{escaped(value)}"{" selected" if is_chosen else ""}>{escaped(title)}</option>'


def _ratings_section(shown: Rated, chooser: str, arena: str, texts: Texts, *, is_live: bool) -> str:
    page = Page(ratings_table(shown, texts), shown.notes)
    if not shown.rows:
        return _section(page, chooser, arena, texts, is_live=is_live)
    reading = Panel("reading", texts("board_panel_reading"), "".join(map(paragraph, legend(shown, texts))))
    drawn = [_chart_panel(name, texts) for name in charts_of(shown)]
    told = [_panel(panel) for panel in (reading, *panels(shown, texts))]
    return _section(page, chooser, arena, texts, is_live=is_live, below=[told[0], *drawn, *told[1:]])


def _section(
    page: Page, chooser: str, arena: str, texts: Texts, *, is_live: bool = False, below: Iterable[str] = ()
) -> str:
    table: Table = page.table
    empty = f'<p class="fc-board-empty">{texts.html("board_empty")}</p>'
    body = table_html(table, is_sorted_by_readers=True) if table.rows else empty
    notes = "".join(map(paragraph, page.notes))
    live = " data-live" if is_live else ""
    count = texts.html("board_count", shown="#", total=len(table.rows))
    return (
        f'<section class="fc-board" data-arena="{escaped(arena)}"{live} aria-label="{texts.html("leaderboard")}">'
        f'<h2>{escaped(table.title)}</h2>{chooser}<div class="fc-board-notes">{notes}</div>{body}'
        f'<p class="fc-board-count" role="status" data-count="{count}"></p>'
        f'<div class="fc-board-panels">{"".join(below)}</div></section>'
    )


def _panel(panel: Panel) -> str:
    return (
        f'<details data-panel="{panel.name}"><summary>{escaped(panel.title)}</summary>'
        f'<div class="fc-board-inside">{panel.inside}</div></details>'
    )


def _chart_panel(name: str, texts: Texts) -> str:
    """Empty; its script fetches the chart. The first one is unfolded from the beginning."""
    title = texts.html(f"board_chart_{name}")
    is_open = " open" if name == RATINGS else ""
    return (
        f'<details data-panel="chart-{name}" data-chart="{name}"{is_open}><summary>{title}</summary>'
        f'<div class="fc-board-inside"></div></details>'
    )


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
        ratings: str | None = None,
        accept_language: Annotated[str, Header()] = "",
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        """An open page asks every second, and is told nothing as long as nobody voted."""
        who, texts = identify(request), catalogue.best(accept_language, fixed=language(arena))
        headers = {"etag": f'"{board.version(who, arena)}-{texts.language}"'}
        if if_none_match == headers["etag"]:
            return Response(status_code=304, headers=headers)
        html = await board.html(who, arena, texts, Chosen(table, category, ratings))
        return HTMLResponse(html, headers=headers)

    @router.get("/leaderboard/chart")
    async def draw(
        request: Request,
        name: Annotated[str, Query(alias="chart")],
        arena: str = DEFAULT,
        table: str | None = None,
        category: str | None = None,
        ratings: str | None = None,
        accept_language: Annotated[str, Header()] = "",
    ) -> Response:
        who, texts = identify(request), catalogue.best(accept_language, fixed=language(arena))
        return HTMLResponse(await board.chart(who, arena, texts, Chosen(table, category, ratings), name))

    @router.get("/leaderboard/board.json")
    async def download(request: Request, arena: str = DEFAULT) -> Response:
        """The board from a file. The one of an arena is to be had from the arena's API."""
        return Response(board.built(identify(request), arena), media_type="application/json")

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

        place = leaderboard_place(self._arena, self._texts, self._root)
        gr.HTML(place, elem_id="fc-leaderboard", js_on_load=packaged("leaderboard.js"), apply_default_css=False)


def leaderboard_place(arena: str, texts: Texts, root: str = "") -> str:
    """What the script fills. `root`: from the page to where the server's paths begin."""
    failed = texts.html("board_failed")
    return (
        f'<div class="fc-board-place" data-arena="{escaped(arena)}" data-root="{escaped(root)}" '
        f'data-failed="{failed}"></div>'
    )
