"""The table of ratings, and how to read it."""

from collections.abc import Iterator, Sequence

from fastchat.arena.leaderboard.board import ModelRow
from fastchat.web.boards import interval_title
from fastchat.web.rated import Rated
from fastchat.web.tables import NOTHING, Cell, Column, Table, tag
from fastchat.web.texts import Texts


def ratings_table(shown: Rated, texts: Texts) -> Table:
    rows, has_groups, has_tiers = shown.rows, len(shown.category.components) > 1, _has_tiers(shown)
    more = [
        fact for fact in ("organization", "license") if any(getattr(shown.facts_of(row.name), fact) for row in rows)
    ]
    columns = [
        Column(texts("model")),
        Column(texts("board_rank"), True, texts("board_rank_is", level=_level(shown))),
        Column(texts("board_points"), True, texts("board_points_is", mean=f"{shown.options.offset:g}")),
        Column(interval_title(texts, shown.options.confidence), False, texts("board_interval_is", level=_level(shown))),
        Column(texts("board_votes"), True, texts("board_votes_is")),
        Column(texts("board_win_rate"), True, texts("board_win_rate_is")),
        *([Column(texts("board_tier"), True, texts("board_tier_is"))] if has_tiers else []),
        *([Column(texts("board_group"), True, texts("board_group_is"))] if has_groups else []),
        *(Column(texts(f"board_{fact}")) for fact in more),
    ]
    scale = _Scale(rows)
    cells = [
        [
            Cell(shown.named(row.name), link=shown.facts_of(row.name).link or None, extra=_tags(row, texts)),
            _ranks(row),
            points(row.rating),
            Cell(_bounds(row), row.lower, extra=scale.bar(row)),
            Cell(f"{row.votes:,}", row.votes),
            Cell(f"{row.win_rate:.1%}", row.win_rate),
            *([Cell(str(row.tier), row.tier)] if has_tiers else []),
            *([Cell(str(row.component + 1), row.component)] if has_groups else []),
            *(Cell(getattr(shown.facts_of(row.name), fact) or "–") for fact in more),
        ]
        for row in rows
    ]
    dimmed = frozenset(at for at, row in enumerate(rows) if row.preliminary)
    return Table(shown.title, columns, cells, dimmed)


def legend(shown: Rated, texts: Texts) -> Iterator[str]:
    """How to read the table: column by column, then the rules."""
    level = _level(shown)
    yield texts("board_points_is", mean=f"{shown.options.offset:g}")
    yield texts("board_interval_is", level=level)
    yield texts("board_rank_is", level=level)
    if _has_tiers(shown):
        yield texts("board_tier_is")
    yield texts("board_win_rate_is")
    yield texts(f"board_both_bad_{shown.options.both_bad}", share=f"{shown.category.both_bad_share:.1%}")
    yield texts("board_preliminary_is", least=shown.options.preliminary_below)
    if len(shown.category.components) > 1:
        yield texts("board_group_is")
    if shown.is_controlled:
        yield texts("board_style_is")
    if shown.board is None:
        yield texts("board_style_live")


def points(rating: float) -> Cell:
    return Cell(signed(rating), rating)


def signed(number: float, form: str = ".0f") -> str:
    written = format(number, form)
    return written.replace("-", "−") if float(written.replace(",", "")) else written.lstrip("-")


def _has_tiers(shown: Rated) -> bool:
    """Whether some models are told apart from all others; a column of ones would say nothing."""
    return any(row.tier > 1 for row in shown.rows)


def _level(shown: Rated) -> str:
    return f"{shown.options.confidence * 100:g}"


def _tags(row: ModelRow, texts: Texts) -> str:
    preliminary = tag(texts("board_preliminary")) if row.preliminary else ""
    return preliminary + (tag(texts(f"board_unbounded_{row.unbounded}")) if row.unbounded else "")


def _ranks(row: ModelRow) -> Cell:
    text = str(row.rank_lower) if row.rank_lower == row.rank_upper else f"{row.rank_lower}–{row.rank_upper}"
    return Cell(text, row.rank_lower + row.rank_upper / 1e6)


def _bounds(row: ModelRow) -> str:
    low = "−∞" if row.unbounded == "below" else signed(row.lower)
    return f"{low} – {'∞' if row.unbounded == 'above' else signed(row.upper)}"


class _Scale:
    """Places on a line from the lowest to the highest end of all intervals."""

    def __init__(self, rows: Sequence[ModelRow]) -> None:
        self._low = min((row.lower for row in rows), default=0.0)
        self._width = max((row.upper for row in rows), default=1.0) - self._low or 1.0

    def bar(self, row: ModelRow) -> str:
        """The interval as a line, for eyes only; its numbers stand beside it."""
        low, middle, high = ((at - self._low) / self._width for at in (row.lower, row.rating, row.upper))
        low, high = 0.0 if row.unbounded == "below" else low, 1.0 if row.unbounded == "above" else high
        style = f"--low:{low:.4f};--mid:{middle:.4f};--high:{high:.4f}"
        return f'<span class="fc-board-bar" style="{style}" aria-hidden="true"></span>'


def cell(value: float | None, form: str) -> Cell:
    return NOTHING if value is None else Cell(signed(value, form), value)
