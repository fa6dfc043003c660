"""What a table of ratings says of each model, before it has any form."""

from collections.abc import Sequence
from typing import NamedTuple

from fastchat.arena.leaderboard.board import Board, CategoryBoard, ModelFacts, ModelRow
from fastchat.core.errors import SetupError


class Line(NamedTuple):
    """A model in a category. Names are as others wrote them."""

    row: ModelRow
    facts: ModelFacts

    @property
    def title(self) -> str:
        return self.facts.title or self.row.name

    @property
    def ranks(self) -> str:
        """Those that the votes leave open."""
        low, high = self.row.rank_lower, self.row.rank_upper
        return str(low) if low == high else f"{low}–{high}"

    @property
    def rating(self) -> str:
        """With a sign where the votes set no bound on a side."""
        sign = {"above": "≥ ", "below": "≤ "}.get(self.row.unbounded or "", "")
        return f"{sign}{self.row.rating:.0f}"

    @property
    def spread(self) -> str:
        above = "∞" if self.row.unbounded == "above" else f"{self.row.upper - self.row.rating:.0f}"
        below = "∞" if self.row.unbounded == "below" else f"{self.row.rating - self.row.lower:.0f}"
        return f"+{above} / −{below}"


def are_groups(shown: Sequence[Line]) -> bool:
    """Whether some of these models never met others, directly or through others."""
    return len({line.row.component for line in shown}) > 1


def category_of(board: Board, name: str) -> CategoryBoard:
    """
    Raises:
        SetupError: there is none of this name.
    """
    if name not in board.categories:
        raise SetupError(f"The board has no category {name!r}. It has: {', '.join(board.categories)}.")
    return board.categories[name]


def lines(board: Board, category: str, *, raw: bool = False) -> list[Line]:
    """`raw`: without control for style, where there is one.

    Raises:
        SetupError: there is no such category.
    """
    found = category_of(board, category)
    rows = found.raw if raw and found.raw is not None else found.models
    return [Line(row, board.facts.get(row.name, ModelFacts())) for row in rows]


def printable(text: str) -> str:
    """No control character in the names of others reaches a terminal."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
