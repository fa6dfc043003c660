"""Which processes of ours run on this machine: a small file each in the run directory."""

import contextlib
import json
import logging
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from fastchat.core.places import run_dir

log = logging.getLogger(__name__)


@contextlib.contextmanager
def record_of_process(role: str, url: str) -> Iterator[None]:
    """A file in the run directory that says who runs, for as long as it runs; `shutdown_serve` reads it."""
    file = run_dir() / f"{role}-{os.getpid()}.json"
    me = {"role": role, "pid": os.getpid(), "created": psutil.Process().create_time(), "url": url}
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(json.dumps(me))
    except OSError as error:  # a full disk is no reason not to serve
        log.warning("%s cannot be written (%s); `fastchat shutdown` will not see this process", file, error.strerror)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class RunningProcess:
    role: str
    pid: int
    created: float  # when it started; a process id is used again after a while, its time of birth is not
    url: str

    @property
    def is_running(self) -> bool:
        """Still this process, not another under its number, and not one that has ended unnoticed by its parent."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


def running_processes() -> list[RunningProcess]:
    """What the run directory says and the kernel confirms; records of the dead are removed."""
    found = []
    for file in sorted(run_dir().glob("*-*.json")):
        process = _read(file)
        if process is not None and process.is_running:
            found.append(process)
        else:
            file.unlink(missing_ok=True)
    return found


def _read(file: Path) -> RunningProcess | None:
    try:
        return RunningProcess(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # half written, or not by us
