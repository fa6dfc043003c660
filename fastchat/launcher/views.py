"""What the terminal shows: a live table where there is somebody to look at it, a line an event everywhere else."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeAlias

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fastchat.launcher.lineup import ModelState
from fastchat.launcher.memory import GB
from fastchat.launcher.monitor import ModelStatus
from fastchat.launcher.processes import Event, Kind

REFRESH_S = 0.5
LINE_S = 1.0

Look: TypeAlias = Callable[[], Awaitable[tuple[ModelStatus, ...]]]

_STATE_STYLES = {"ready": "green", "failed": "bold red", "restarting": "red", "draining": "yellow"}
_EVENT_STYLES: dict[Kind, str] = {"crashed": "red", "failed": "bold red"}


class View(Protocol):
    def say(self, text: str) -> None: ...

    def report(self, event: Event) -> None: ...

    async def follow(self, look: Look) -> None:
        """Show how things are until cancelled."""
        ...


def choose_view(console: Console) -> View:
    return LiveView(console) if console.is_terminal else LineView(console)


class LineView:
    """For pipes, logs and CI: nothing is ever rewritten."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._print(Text(text))

    def report(self, event: Event) -> None:
        self._print(_event_text(event))

    def _print(self, text: Text) -> None:
        with suppress(OSError):  # the terminal may have been closed
            self._console.print(text, highlight=False, soft_wrap=True)

    async def follow(self, look: Look) -> None:
        known: dict[tuple[str, ...], ModelState] = {}
        while True:
            states = {(*model.names, *(worker.name for worker in model.workers)): model for model in await look()}
            for key, model in states.items():
                if model.state not in ("starting", known.get(key)):
                    self.say(f"{', '.join(model.names)}: {model.state}")
            known = {key: model.state for key, model in states.items()}
            await asyncio.sleep(LINE_S)


class LiveView(LineView):
    """The same lines, and under them a table that is drawn anew twice a second."""

    async def follow(self, look: Look) -> None:
        with suppress(OSError), Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(model_table(await look()), refresh=True)
                await asyncio.sleep(REFRESH_S)


def _event_text(event: Event) -> Text:
    text = Text(f"{event.name}: {event.text}", style=_EVENT_STYLES.get(event.kind, ""))
    for line in event.lines:
        text.append(f"\n  {line}", style="dim")
    return text


def model_table(models: tuple[ModelStatus, ...]) -> Table:
    """Narrow enough for eighty columns."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("model", overflow="fold")
    for heading in ("engine", "state", "pid"):
        table.add_column(heading)
    for heading in ("runs", "waits", "tokens/s", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in models:
        table.add_row(*_cells(model))
    return table


def _cells(model: ModelStatus) -> list[str | Text]:
    serving = sum(worker.is_serving for worker in model.workers)
    many = f" {serving}/{len(model.workers)}" if len(model.workers) > 1 else ""
    is_ours = bool(model.workers)
    return [
        Text("\n".join(model.names)),
        Text(model.engine),
        Text(model.state + many, style=_STATE_STYLES.get(model.state, "")),
        Text(" ".join(str(worker.pid or "–") for worker in model.workers)),
        str(model.running) if is_ours else "",
        str(model.waiting) if is_ours else "",
        f"{model.tokens_per_s:.1f}" if is_ours else "",
        f"{model.memory_bytes / GB:.2f} GB" if is_ours else "",
    ]
