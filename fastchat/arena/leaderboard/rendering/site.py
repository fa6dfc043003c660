"""A board as one HTML file that stands alone: it fetches nothing, and tells nobody that it is read."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from fastchat.arena.leaderboard.board import OVERALL, Board
from fastchat.arena.leaderboard.rendering import views
from fastchat.arena.leaderboard.rendering.csv import csv_table
from fastchat.arena.leaderboard.rendering.html import counted, escaped
from fastchat.arena.leaderboard.rendering.lines import lines

BOARD_FILE, PAGE = "board.json", "index.html"


def write_site(board: Board, folder: Path, title: str) -> list[Path]:
    """The page, and beside it what it was made of. What is there is replaced.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {PAGE: page(board, title), BOARD_FILE: board.model_dump_json()}
    written |= {csv_name(name): csv_table(board, name) for name in board.categories}
    for name, content in written.items():
        (folder / name).write_text(content, "utf-8")
    return [folder / name for name in written]


def csv_name(category: str) -> str:
    """A file's name without what means something to a file system or an address."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in category)[:60]
    if plain == category:
        return f"{plain}.csv"
    return f"{plain}-{hashlib.sha256(category.encode()).hexdigest()[:8]}.csv"


def page(board: Board, title: str) -> str:
    style, script = _asset("site.css"), _asset("site.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<meta name="color-scheme" content="light dark"><title>{escaped(title)}</title><style>{style}</style></head>'
        f"<body><header><h1>{escaped(title)}</h1>{_summary(board)}</header>{_controls(board)}"
        f"<main>{''.join(_views(board))}{views.beside(board)}</main>{_footer(board)}<script>{script}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _summary(board: Board) -> str:
    built = datetime.fromtimestamp(board.built_at, UTC)
    first = next(iter(board.categories.values()))
    overall = board.categories.get(OVERALL, first)
    return (
        f'<p class="summary">{counted(overall.votes, "vote")} on {counted(len(overall.models), "model")}, '
        f"{counted(len(board.categories), 'category', 'categories')}. Built {built:%Y-%m-%d %H:%M} UTC.</p>"
    )


def _controls(board: Board) -> str:
    controls = ""
    if len(board.categories) > 1:
        options = "".join(f'<option value="{at}">{escaped(name)}</option>' for at, name in enumerate(board.categories))
        controls = f'<label>Category<select id="category">{options}</select></label>'
    if any(category.raw is not None for category in board.categories.values()):
        controls += (
            '<label>Style<select id="style"><option value="controlled">controlled for</option>'
            '<option value="raw">as voted</option></select></label>'
        )
    names = sorted({facts.organization for facts in board.facts.values() if facts.organization}, key=str.casefold)
    if names:
        options = "".join(f'<option value="{escaped(name)}">{escaped(name)}</option>' for name in names)
        controls += (
            f'<label>Organization<select id="organization"><option value="">all</option>{options}</select></label>'
        )
    controls += '<label>Filter<input id="search" type="search" autocomplete="off" spellcheck="false"></label>'
    return (
        f'<form class="controls" role="search" aria-label="What is shown">{controls}'
        '<p id="found" role="status"></p></form>'
    )


def _views(board: Board) -> Iterator[str]:
    for at, (name, category) in enumerate(board.categories.items()):
        for style in ("controlled", "raw") if category.raw is not None else ("controlled",):
            shown = lines(board, name, raw=style == "raw")
            yield (
                f'<section class="view" data-category="{at}" data-style="{style}" data-name="{escaped(name)}" '
                f'aria-label="{escaped(name)}">'
                f"{views.category(board, name, shown, is_raw=style == 'raw')}</section>"
            )


def _footer(board: Board) -> str:
    tables = " ".join(f'<a href="{csv_name(name)}">{escaped(name)}</a>' for name in board.categories)
    return (
        f'<footer><p>All numbers: <a href="{BOARD_FILE}">{BOARD_FILE}</a>. As CSV: {tables}</p>'
        f"<p>Whoever has the votes can compute this board again: "
        f"<code>fastchat leaderboard verify {BOARD_FILE} --votes FILE</code></p>"
        f"<p>Digest of the board: <code>{escaped(board.digest)}</code>. Made by FastChat {escaped(board.code_version)}."
        "</p></footer>"
    )
