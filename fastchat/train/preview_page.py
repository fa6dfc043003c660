"""A preview as one page of HTML that fetches nothing. What conversations hold is text in it and nothing else."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from fastchat.train.preview import Bar, Piece, Preview
from fastchat.train.preview_terminal import MEMORY_COLUMNS, dollars, duration, facts, memory_rows

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(preview: Preview) -> str:
    style = files(__package__).joinpath("preview.css").read_text("utf-8")
    title = f"What {preview.model} would be trained on"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="problem">Training would not begin: {escape(problem)}</p>' for problem in preview.problems),
        *(f"<p>{escape(note)}.</p>" for note in preview.chat_format.notes),
        _table([], facts(preview)),
        '<h2>Conversations</h2><p>What is <span class="trained">trained</span> stands on colour.</p>',
        *(f'<pre dir="auto">{_coloured(sample)}</pre>' for sample in preview.look.shown),
        "<h2>Lengths</h2>",
        _histogram(preview.look.histogram()),
        f"<h2>Memory of a device, estimated</h2>{_table(MEMORY_COLUMNS, memory_rows(preview))}",
        f"<h2>Time and price of full tuning on {preview.batches.devices}, estimated</h2>{_prices(preview)}",
    ]
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _coloured(sample: Sequence[Piece]) -> str:
    return "".join(_trained(piece.text) if piece.is_trained else escape(piece.text) for piece in sample)


def _trained(text: str) -> str:
    lines = escape(text).replace("\n", "⏎\n")
    return f'<span class="trained">{lines}</span>'


def _histogram(bars: Sequence[Bar]) -> str:
    most = max(bar.samples for bar in bars)
    rows = [
        (f"{bar.first:,}–{bar.last:,}", f"{bar.samples:,}", f'<meter max="{most}" value="{bar.samples}"></meter>')
        for bar in bars
    ]
    head = "<tr><th>tokens</th><th>samples</th><th></th></tr>"
    return f"<table>{head}{''.join(f'<tr>{_cells(row[:2])}<td>{row[2]}</td></tr>' for row in rows)}</table>"


def _prices(preview: Preview) -> str:
    rows = [
        (
            each.hardware.name,
            duration(each.hours),
            dollars(each.usd),
            ", ".join(each.fits) or "nothing",
            each.hardware.source,
        )
        for each in preview.prices
    ]
    return _table(("hardware", "time", "price", "has room for", "where the numbers are from"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>" if head else ""
    return f"<table>{top}{''.join(f'<tr>{_cells(row)}</tr>' for row in rows)}</table>"


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td>{escape(cell)}</td>" for cell in row)
