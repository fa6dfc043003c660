"""One supervised child process: started, watched, started again after growing pauses, stopped with all it started.

What it writes goes straight to its log file, so that nothing is lost when the supervisor dies and nobody has to read
a pipe; the last lines are read back from there when it crashes.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from fastchat.launcher.log_file import LogFile

SETUP_ERROR_CODE = 2  # the child said what a person has to change: trying again would not help
STOP_GRACE_S = 40.0  # longer than our servers drain, so that they end by themselves
HOPELESS_AFTER_CRASHES = 3

State: TypeAlias = Literal["starting", "running", "pausing", "stopping", "stopped", "failed"]
Kind: TypeAlias = Literal["started", "crashed", "failed", "stopped"]


class Clock(Protocol):
    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class RealClock:
    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Command:
    """How a child is started, the same way each time."""

    name: str  # also its log's name
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    pass_fds: tuple[int, ...] = ()
    log_dir: Path = Path()
    grace_s: float = STOP_GRACE_S  # how long it may take to end after SIGTERM


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a child. `lines` is the last it wrote, where that explains the event."""

    name: str
    kind: Kind
    text: str
    lines: tuple[str, ...] = ()


@dataclass(slots=True)
class Pauses:
    """How long to wait before the next life: longer each time, from the start again after a life that lasted."""

    first_s: float = 0.5
    longest_s: float = 30.0
    lasted_s: float = 60.0
    _next_s: float = field(default=0.0)

    def after(self, life_s: float) -> float:
        pause_s = self.first_s if life_s >= self.lasted_s or not self._next_s else self._next_s
        self._next_s = min(pause_s * 2, self.longest_s)
        return pause_s


class Child:
    def __init__(self, command: Command, report: Callable[[Event], None], clock: Clock | None = None) -> None:
        self.command = command
        self.log = LogFile(command.log_dir / f"{command.name}.log")
        self.state: State = "starting"
        self.pid: int | None = None
        self.restarts = 0
        self.last_words = ""  # the last line of a life that ended badly
        self._report = report
        self._clock = clock or RealClock()
        self._pauses = Pauses()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    @property
    def is_hopeless(self) -> bool:
        """As far as one can tell while it has never worked."""
        return self.state == "failed" or self.restarts >= HOPELESS_AFTER_CRASHES

    async def run(self) -> None:
        """Keep it alive until `stop`, or until it says that it cannot work. Cancelling kills it."""
        while not self._stop.is_set():
            started_at = self._clock.now()
            try:
                code = await self._live()
                text = _ending(code)
            except OSError as error:  # no process, no memory, no log: it may be better in a while
                code, text = 1, f"could not be started: {error}"
            if self._stop.is_set():
                break
            if code == SETUP_ERROR_CODE:
                self._enter("failed", "failed", "cannot start", self.log.last_lines())
                return
            self.restarts += 1
            pause_s = self._pauses.after(self._clock.now() - started_at)
            self._enter("pausing", "crashed", f"{text}; starts again in {pause_s:g} s", self.log.last_lines())
            await _first(self._clock.sleep(pause_s), self._stop.wait())
        self._enter("stopped", "stopped", "stopped")

    def stop(self) -> None:
        """Ask it to finish: SIGTERM, and SIGKILL if it takes too long. `run` returns when it is over."""
        self._stop.set()

    def hurry(self) -> None:
        """Do not wait for it to finish."""
        self._stop.set()
        self._hurry.set()

    async def _live(self) -> int:
        """One life, from start to exit code."""
        process = await self._spawn()
        exited = asyncio.ensure_future(process.wait())
        try:
            await _first(exited, self._stop.wait())
            if not exited.done():
                self.state = "stopping"
                with suppress(ProcessLookupError):  # it ends at this very moment
                    process.terminate()
                await _first(exited, self._clock.sleep(self.command.grace_s), self._hurry.wait())
        finally:
            _kill_group(process.pid)  # the child if it is still there, and whatever it left behind
            code = await exited
            self.pid = None
        return code

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self.log.open() as log:
            process = await asyncio.create_subprocess_exec(
                *self.command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.command.environ,
                pass_fds=self.command.pass_fds,
                start_new_session=True,  # Ctrl-C in the terminal is for us: we stop the children in order
            )
        self.pid = process.pid
        self._enter("running", "started", f"started, process {process.pid}")
        return process

    def _enter(self, state: State, kind: Kind, text: str, lines: tuple[str, ...] = ()) -> None:
        self.state = state
        self.last_words = lines[-1] if lines else ""
        self._report(Event(self.command.name, kind, text, lines))


async def _first(*waits: Awaitable[object]) -> None:
    """Until one of them is over. Coroutines that are not are given up; futures go on."""
    futures = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future, wait in zip(futures, waits, strict=True):
            if future is not wait:
                future.cancel()


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says the latter of a zombie
        os.killpg(leader, signal.SIGKILL)


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
