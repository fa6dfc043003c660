"""A category for a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastchat.arena.leaderboard.board import Board
from fastchat.arena.leaderboard.rendering.lines import are_groups, category_of, lines, printable

_NUMBERS = ("rank", "rating", "interval", "votes")


def show(board: Board, category: str, *, raw: bool = False) -> None:
    found = category_of(board, category)
    table = Table("rank", "model", "rating", "interval", "votes", "organization", "license", title=Text(category))
    for column in table.columns:
        column.justify = "right" if column.header in _NUMBERS else "left"
    shown = lines(board, category, raw=raw)
    group = None
    for line in shown:
        if are_groups(shown) and line.row.component != group:  # compare within one only
            group = line.row.component
            table.add_section()
        texts = [line.ranks, line.title, line.rating, line.spread, f"{line.row.votes:,}"]
        # Names are text, not markup.
        table.add_row(*(Text(printable(text)) for text in (*texts, line.facts.organization, line.facts.license)))
    console = Console()
    console.print(table)
    console.print(Text(f"{found.votes:,} votes, {found.both_bad_share:.1%} both bad"))
    for note in found.notes:
        console.print(Text(printable(note)))
