"""A category as CSV, safe to be opened by a spreadsheet."""

import csv
import io

from fastchat.arena.leaderboard.board import Board
from fastchat.arena.leaderboard.rendering.lines import Line, lines

_HEADS = (
    "name", "rating", "lower", "upper", "rank_lower", "rank_upper", "tier", "votes", "win_rate", "component",
    "unbounded", "preliminary", "title", "organization", "license", "link",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a cell begins that a spreadsheet would compute


def csv_table(board: Board, category: str, *, raw: bool = False) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_HEADS)
    writer.writerows(_cells(line) for line in lines(board, category, raw=raw))
    return file.getvalue()


def _cells(line: Line) -> list[object]:
    row, facts = line
    return [
        plain(row.name), row.rating, row.lower, row.upper, row.rank_lower, row.rank_upper, row.tier, row.votes,
        row.win_rate, row.component, row.unbounded or "", row.preliminary, plain(facts.title),
        plain(facts.organization), plain(facts.license), plain(facts.link),
    ]  # fmt: skip


def plain(text: str) -> str:
    """Text stays text: a quote before what would be a formula, as spreadsheets have it."""
    return f"'{text}" if text.startswith(_FORMULA) else text
