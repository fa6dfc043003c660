"""A category for a terminal."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastchat.arena.leaderboard.board import Board
from fastchat.arena.leaderboard.rendering.lines import Line, are_groups, category_of, lines, printable

_NUMBERS = ("rank", "rating", "interval", "votes", "win rate", "tier")


def show(board: Board, category: str, *, raw: bool = False) -> None:
    found = category_of(board, category)
    shown = lines(board, category, raw=raw)
    columns = _columns(shown)
    table = Table(*columns, title=Text(category))
    for column in table.columns:
        column.justify = "right" if column.header in _NUMBERS else "left"
        column.no_wrap = column.header in _NUMBERS
        column.overflow = "fold"
    group = None
    for line in shown:
        if are_groups(shown) and line.row.component != group:  # compare within one only
            group = line.row.component
            table.add_section()
        # Names are text, not markup.
        table.add_row(*(Text(printable(tell(line))) for tell in columns.values()))
    console = Console()
    console.print(table)
    console.print(Text(f"{found.votes:,} votes, {found.both_bad_share:.1%} both bad"))
    if found.raw is not None:
        console.print(Text("Not controlled for style." if raw else "Controlled for style; --raw shows it without."))
    if any(line.row.preliminary for line in shown):
        console.print(Text("* preliminary: few votes"))
    for note in found.notes:
        console.print(Text(printable(note)))


def _columns(shown: Sequence[Line]) -> dict[str, Callable[[Line], str]]:
    """Those in which something stands."""
    columns: dict[str, Callable[[Line], str]] = {
        "rank": lambda line: line.ranks,
        "model": lambda line: line.title + (" *" if line.row.preliminary else ""),
        "rating": lambda line: line.rating,
        "interval": lambda line: line.spread,
        "votes": lambda line: f"{line.row.votes:,}",
        "win rate": lambda line: f"{line.row.win_rate:.1%}",
    }
    if len({line.row.tier for line in shown}) > 1:
        columns["tier"] = lambda line: str(line.row.tier)
    if any(line.facts.organization for line in shown):
        columns["organization"] = lambda line: line.facts.organization
    if any(line.facts.license for line in shown):
        columns["license"] = lambda line: line.facts.license
    return columns
