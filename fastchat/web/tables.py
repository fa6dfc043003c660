"""Tables of the leaderboard: as values, and as HTML of ours with the words of others in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastchat.web.markup import escaped


class Column(NamedTuple):
    title: str
    is_number: bool = False
    hint: str = ""  # what it means, told when it is pointed at


class Cell(NamedTuple):
    text: str
    sort: float | None = None  # None: by its text
    link: str | None = None
    extra: str = ""  # HTML of ours behind the text


@dataclass(frozen=True, slots=True)
class Table:
    """The first column names its row."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    dimmed: frozenset[int] = frozenset()  # rows of which little is known


NOTHING = Cell("–", float("-inf"))


def number(value: float | None, form: str) -> Cell:
    return NOTHING if value is None else Cell(format(value, form), value)


def spread(middle: float | None, low: float | None, high: float | None, form: str) -> Cell:
    """By how much the ends lie above and below."""
    if middle is None or low is None or high is None:
        return NOTHING
    return Cell(f"+{high - middle:{form}} / −{middle - low:{form}}", low)


def tag(text: str) -> str:
    return f' <span class="fc-board-tag">{escaped(text)}</span>'


def table_html(table: Table, *, is_sorted_by_readers: bool = False) -> str:
    heads = "".join(_head(column, is_sorted_by_readers) for column in table.columns)
    rows = "".join(_row(table, at, cells) for at, cells in enumerate(table.rows))
    title = escaped(table.title)
    kind = " fc-board-main" if is_sorted_by_readers else ""
    return (
        f'<div class="fc-board-scroll{kind}" role="region" tabindex="0" aria-label="{title}"><table>'
        f'<caption class="fc-hidden">{title}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _head(column: Column, is_button: bool) -> str:
    kind = ' class="fc-number"' if column.is_number else ""
    hint = f' title="{escaped(column.hint)}"' if column.hint else ""
    title = escaped(column.title)
    inside = f'<button type="button"{hint}>{title}</button>' if is_button else f"<span{hint}>{title}</span>"
    return f'<th scope="col"{kind}>{inside}</th>'


def _row(table: Table, at: int, cells: Sequence[Cell]) -> str:
    inside = "".join(_cells(table.columns, cells))
    kind = ' class="fc-dimmed"' if at in table.dimmed else ""
    return f"<tr{kind}>{inside}</tr>"


def _cells(columns: Sequence[Column], cells: Sequence[Cell]) -> Iterator[str]:
    for at, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        sort = "" if cell.sort is None else f' data-sort="{cell.sort}"'
        kind = ' class="fc-number"' if column.is_number else ""
        text = escaped(cell.text)
        if cell.link:
            text = f'<a href="{escaped(cell.link)}" target="_blank" rel="noopener noreferrer nofollow">{text}</a>'
        element = 'th scope="row"' if at == 0 else "td"
        yield f"<{element}{kind}{sort}>{text}{cell.extra}</{element[:2]}>"
