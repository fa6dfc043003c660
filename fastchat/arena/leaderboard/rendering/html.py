"""Pieces of HTML: tables that can be sorted, and text of others that is nothing but text."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fastchat.arena.leaderboard.charts import escaped

__all__ = ["Cell", "Head", "counted", "dashed", "escaped", "paragraph", "signed", "table"]


class Head(NamedTuple):
    title: str
    is_number: bool = False
    explained: str = ""


class Cell(NamedTuple):
    text: str
    sort: float | None = None  # None: by its text
    html: str = ""  # ours, behind the text
    link: str = ""


def table(heads: Sequence[Head], rows: Iterable[Sequence[Cell]], caption: str, *, kind: str = "") -> str:
    """The first column names the row."""
    top = "".join(map(_head, heads))
    body = "".join(f"<tr>{''.join(_cells(heads, row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escaped(caption)}"><table class="{kind}">'
        f'<caption class="hidden">{escaped(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _head(head: Head) -> str:
    kind = ' class="number"' if head.is_number else ""
    title = f' title="{escaped(head.explained)}"' if head.explained else ""
    return f'<th scope="col"{kind}><button type="button"{title}>{escaped(head.title)}</button></th>'


def _cells(heads: Sequence[Head], row: Sequence[Cell]) -> Iterable[str]:
    for at, (head, cell) in enumerate(zip(heads, row, strict=True)):
        tag = 'th scope="row"' if at == 0 else "td"
        kind = ' class="number"' if head.is_number else ""
        sort = "" if cell.sort is None else f' data-sort="{cell.sort:.6f}"'
        text = escaped(cell.text)
        if cell.link:
            text = f'<a href="{escaped(cell.link)}" rel="noopener noreferrer nofollow">{text}</a>'
        yield f"<{tag}{kind}{sort}>{text}{cell.html}</{tag[:2]}>"


def dashed(number: float | None, form: str) -> Cell:
    """A number, or a dash that is sorted last."""
    return Cell("–", float("-inf")) if number is None else Cell(format(number, form), number)


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def signed(number: float) -> str:
    """With a sign that is as wide as a digit; nothing has none."""
    written = f"{number:+.1f}"
    return written[1:] if float(written) == 0 else written.replace("-", "−")


def paragraph(text: str) -> str:
    return f"<p>{escaped(text)}</p>"
