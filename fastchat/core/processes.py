"""Which processes of ours run on this machine: a small file each in the run directory."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from fastchat.core.places import run_dir


@contextlib.contextmanager
def record_of_process(role: str, url: str) -> Iterator[None]:
    """A file in the run directory that says who runs, for as long as it runs; `shutdown_serve` reads it."""
    file = run_dir() / f"{role}-{os.getpid()}.json"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    me = {"role": role, "pid": os.getpid(), "created": psutil.Process().create_time(), "url": url}
    file.write_text(json.dumps(me))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class RunningProcess:
    role: str
    pid: int
    url: str
    file: Path

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


def running_processes() -> list[RunningProcess]:
    """What the run directory says and the kernel confirms; records of the dead are removed."""
    found = []
    for file in sorted(run_dir().glob("*-*.json")):
        record = json.loads(file.read_text())
        try:
            # A process id is used again after a while; its time of birth is not.
            is_alive = abs(psutil.Process(record["pid"]).create_time() - record["created"]) < 1
        except psutil.NoSuchProcess:
            is_alive = False
        if is_alive:
            found.append(RunningProcess(record["role"], record["pid"], record["url"], file))
        else:
            file.unlink(missing_ok=True)
    return found
