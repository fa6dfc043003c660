"""A clock that is a number, and a child's events to wait for."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fastchat.launcher.processes import Child, Command, Event, Kind


class ManualClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []
        self.has_sleeper = asyncio.Event()

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        done = asyncio.Event()
        self._sleepers.append((self._now + seconds, done))
        self.has_sleeper.set()
        await done.wait()

    def pass_s(self, seconds: float) -> None:
        self._now += seconds
        for until, done in self._sleepers:
            if until <= self._now:
                done.set()
        self._sleepers = [(until, done) for until, done in self._sleepers if until > self._now]
        self.has_sleeper.clear()


class Watched:
    """A child that runs a Python program, its clock, and what it has reported."""

    def __init__(self, program: str, folder: Path, **fields: object) -> None:
        command = Command("child", (sys.executable, "-c", program), environ={}, log_dir=folder)
        self.clock = ManualClock()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.child = Child(replace(command, **fields), self.events.put_nowait, self.clock)  # type: ignore[arg-type]

    async def until(self, kind: Kind) -> Event:
        while True:
            event = await self.events.get()
            if event.kind == kind:
                return event

    async def until_written(self, text: str) -> None:
        await eventually(lambda: text in "\n".join(self.child.log.last_lines()))


async def eventually(is_so: Callable[[], bool]) -> None:
    """What another process does cannot be waited for in any other way; the test's own time limit ends it."""
    while not is_so():
        await asyncio.sleep(0.01)
