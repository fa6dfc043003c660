"""A preview for the terminal."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fastchat.train.preview import Piece, Preview

_TRAINED = "black on green"
_BAR_WIDTH = 40

MEMORY_COLUMNS = ("", "weights, gradients, optimizer", "activations", "together", "sharded over all devices")


def show(preview: Preview, console: Console) -> None:
    for number, sample in enumerate(preview.look.shown, 1):
        console.print(Panel(_coloured(sample, console.is_terminal), title=f"sample {number}", title_align="left"))
    if preview.look.shown:
        trained = _trained("trained", console.is_terminal)
        console.print(Text.assemble("What is ", trained, " is marked so, ends of lines in it as ⏎."))
    console.print(Group("", _facts(preview), "", _histogram(preview), "", _memory(preview), "", _prices(preview)))
    for note in preview.chat_format.notes:
        console.print(Text(f"note: {note}"))
    for problem in preview.problems:
        console.print(Text(f"training would not begin: {problem}", style="bold red"))


def _coloured(sample: Sequence[Piece], has_colours: bool) -> Text:
    return Text.assemble(*(_trained(text, has_colours) if is_trained else text for text, is_trained in sample))


def _trained(text: str, has_colours: bool) -> Text:
    shown = text.replace("\n", "⏎\n")
    return Text(shown, _TRAINED) if has_colours else Text(f"⟦{shown}⟧")


def facts(preview: Preview) -> Iterator[tuple[str, str]]:
    """A label and a value each."""
    counts, lengths, batches = preview.look.counts, preview.look.lengths, preview.batches
    yield "model", f"{preview.model}, {preview.size.parameters / 1e6:,.1f} M parameters"
    yield "template", preview.chat_format.name
    yield "an answer ends with", ", ".join(map(repr, preview.chat_format.stops)) or "nothing"
    yield "conversations", f"{counts.conversations:,}, of which the template refuses {counts.refused:,}"
    yield "samples", f"{counts.samples:,}, and {counts.nothing:,} that train nothing and are left out"
    yield "tokens", f"{counts.tokens:,}, of which {counts.trained / counts.tokens:.1%} are trained"
    yield "lengths", f"mean {lengths.mean():,.0f}, median {np.median(lengths):,.0f}, longest {lengths.max():,}"
    yield "longer than allowed", f"{counts.too_long:,} samples"
    kind = "packed" if batches.packs else "padded"
    yield "rows an epoch", f"{preview.rows:,}, {kind}: {preview.efficiency:.1%} of all positions are real tokens"
    yield "padded as FastChat did", f"{preview.padded:.1%} of all positions"
    yield "updates", f"{preview.updates:,} ({batches.epochs:g} epochs, {batches.samples} samples each)"


def duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def dollars(amount: float) -> str:
    return "under $0.01" if 0 < amount < 0.01 else f"${amount:,.2f}"


def _facts(preview: Preview) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for label, value in facts(preview):
        table.add_row(label, Text(value))
    return table


def _histogram(preview: Preview) -> RenderableType:
    bars = preview.look.histogram()
    most = max(bar.samples for bar in bars)
    table = Table.grid(padding=(0, 2))
    for bar in bars:
        row = "█" * round(_BAR_WIDTH * bar.samples / most)
        table.add_row(f"{bar.first:,}–{bar.last:,} tokens", Text(f"{bar.samples:,}", justify="right"), row)
    return table


def _memory(preview: Preview) -> RenderableType:
    batches = preview.batches
    table = Table(title=f"memory of a device, estimated, {batches.rows} × {batches.max_length} tokens at once")
    for column in MEMORY_COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for row in memory_rows(preview):
        table.add_row(*row)
    return table


def memory_rows(preview: Preview) -> Iterator[tuple[str, ...]]:
    for method, need in preview.memory.items():
        amounts = (need.weights, need.activations, need.on_each(1), need.on_each(preview.batches.devices))
        yield method, *(f"{amount / 1e9:,.1f} GB" for amount in amounts)


def _prices(preview: Preview) -> RenderableType:
    table = Table(title=f"full tuning on {preview.batches.devices} of them, estimated")
    for column in ("hardware", "time", "price", "has room for"):
        table.add_column(column, justify="right" if column in ("time", "price") else "left")
    for price in preview.prices:
        table.add_row(
            price.hardware.name, duration(price.hours), dollars(price.usd), ", ".join(price.fits) or "nothing"
        )
    return table
