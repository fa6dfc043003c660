"""A category as a Markdown table."""

import re
from collections.abc import Sequence

from fastchat.arena.leaderboard.board import Board
from fastchat.arena.leaderboard.rendering.lines import Line, are_groups, lines

_HEADS = ("Rank", "Model", "Rating", "Interval", "Votes", "Organization", "License")
_NUMBERS = {"Group", "Rank", "Rating", "Votes"}


def markdown(board: Board, category: str, *, raw: bool = False) -> str:
    shown = lines(board, category, raw=raw)
    if not are_groups(shown):
        return table(_HEADS, list(map(_cells, shown)))
    heads = ("Group", *_HEADS)  # ratings and ranks compare within one only
    return table(heads, [[str(line.row.component + 1), *_cells(line)] for line in shown])


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are Markdown already."""
    rules = ["---:" if head in _NUMBERS else ":---" for head in heads]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [heads, rules, *rows])


def _cells(line: Line) -> list[str]:
    few = " (preliminary)" if line.row.preliminary else ""
    return [
        line.ranks,
        _linked(line.title, line.facts.link) + few,
        line.rating,
        line.spread,
        f"{line.row.votes:,}",
        escaped(line.facts.organization),
        escaped(line.facts.license),
    ]


def _linked(title: str, link: str) -> str:
    if not link:
        return escaped(title)
    target = re.sub(r"[\s<>()\\|\[\]]", lambda found: f"%{ord(found[0]):02X}", link)
    return f"[{escaped(title)}]({target})"


def escaped(text: str) -> str:
    """Nothing in it is markup, HTML included, and it stays on its line."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", plain)
