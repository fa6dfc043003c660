"""Ctrl-C as an event of the loop, so that it stops one thing and not the program."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """Ctrl-C was pressed while input was awaited."""


@contextmanager
def on_interrupt(act: Callable[[], object]) -> Iterator[None]:
    """Within the block Ctrl-C calls `act` in the event loop. To be used in the main thread."""
    loop = asyncio.get_running_loop()
    # Not `loop.add_signal_handler`: its removal puts the default back, not what was there before.
    before = signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(act))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
