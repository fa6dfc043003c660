"""Pieces of HTML. What others wrote is text and nothing else, whatever stands in it."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

MARK = '<meta name="generator" content="FastChat bench">'  # a page of ours; it may be replaced or removed
_NONE, _OWN, _INLINE = "'none'", "'self'", "'unsafe-inline'"


def page(title: str, body: str, *, script: str = "site.js", has_form: bool = False, library: str = "") -> str:
    """It fetches nothing, and runs no script but this one of ours and a `library`; it sends nothing without a form.

    A library may make styles and pictures as it likes; a form says where it is from.
    """
    style, run = _asset("site.css"), _asset(script)
    scripts = [library, run] if library else [run]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {_INLINE if library else _hash(style)}",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"img-src {'data:' if library else _NONE}",
            "base-uri 'none'",
            f"form-action {_OWN if has_form else _NONE}",
        ]
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{MARK}'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="referrer" content="{"same-origin" if has_form else "no-referrer"}">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body>{body}{''.join(f'<script>{each}</script>' for each in scripts)}</body></html>\n"
    )


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def name(text: str) -> str:
    """A word of others among ours: the direction it is written in does not spread."""
    return f"<bdi>{escape(text)}</bdi>"


def prose(text: str) -> str:
    return f'<div class="text" dir="auto">{escape(text)}</div>'


def folded(summary: str, inside: str) -> str:
    """`summary` is HTML."""
    return f"<details><summary>{summary}</summary>{inside}</details>"


def select(id: str, label: str, first: str, options: Iterable[tuple[str, str]]) -> str:
    """Of values and texts; `first` means no choice."""
    rest = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{label}<select id="{id}"><option value="">{first}</option>{rest}</select></label>'


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of texts; the first column names the row, the others are numbers."""
    top = "".join(f'<th scope="col"{_kind(at)}>{escape(column)}</th>' for at, column in enumerate(columns))
    body = "".join(f"<tr>{''.join(_cell(at, text) for at, text in enumerate(row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(at: int, text: str) -> str:
    return f'<td class="number">{escape(text)}</td>' if at else f'<th scope="row">{name(text)}</th>'


def _kind(at: int) -> str:
    return ' class="number"' if at else ""
