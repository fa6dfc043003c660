"""Servers under test: child processes on loopback ports of their own, ended by their ids."""

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

ROOT = Path(__file__).resolve().parents[1]
PORT = "{port}"  # stands for the server's port in its command line
START_LIMIT_S = 120.0
STOP_LIMIT_S = 3.0  # FastChat 0.2's controller never ends by itself


class Server:
    """One running server. Its log is kept until all of them are stopped, to be shown if it does not start."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._orphans: list[psutil.Process] = []
        self._log = folder / f"{name}-{self.port}.log"
        self._started = time.perf_counter()
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                [part.replace(PORT, str(self.port)) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **env, "FASTCHAT_RUN_DIR": str(folder / "run")},
                cwd=cwd,
            )

    @property
    def pids(self) -> list[int]:
        """The process and its children, as of now."""
        return [self._child.pid, *(child.pid for child in psutil.Process(self._child.pid).children(recursive=True))]

    def wait_ready(self, path: str, *, poll_s: float = 0.05, limit_s: float = START_LIMIT_S) -> float:
        """Seconds from the start of the process until `path` was answered with 200."""
        while not self._answers(path):
            if self._child.poll() is not None:
                raise RuntimeError(f"{self.name} ended instead of starting:\n{self._log.read_text()[-3000:]}")
            if time.perf_counter() - self._started > limit_s:
                raise RuntimeError(f"{self.name} did not become ready:\n{self._log.read_text()[-3000:]}")
            time.sleep(poll_s)
        return time.perf_counter() - self._started

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def terminate(self) -> None:
        """Ask it to end; `wait_ended` must follow."""
        if self._child.poll() is None:
            self._orphans = psutil.Process(self._child.pid).children(recursive=True)
            self._child.terminate()

    def wait_ended(self) -> None:
        """Returns when it and whatever it started are gone, by force if need be."""
        try:
            self._child.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for orphan in psutil.wait_procs(self._orphans, timeout=1)[1]:
            orphan.kill()


class Servers:
    """Starts servers, and stops them all when the block is left."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fastchat-benchmark-")
        self._running: list[Server] = []

    @property
    def folder(self) -> Path:
        return Path(self._folder.name)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: str | None,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> Server:
        """Start one and, unless `ready` is None, wait until it answers there."""
        server = Server(name, command, self.folder, env or {}, cwd)
        self._running.append(server)
        if ready is not None:
            server.wait_ready(ready)
        return server

    def stop(self, server: Server) -> None:
        server.terminate()
        server.wait_ended()
        self._running.remove(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for server in reversed(self._running):
            server.terminate()
        for server in self._running:
            server.wait_ended()
        self._folder.cleanup()


def fastchat(*arguments: str) -> list[str]:
    """The command line of one of our servers."""
    return [sys.executable, "-m", "fastchat", *arguments, "--host", "127.0.0.1", "--port", PORT]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
