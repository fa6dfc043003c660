"""Whole systems on loopback, as processes, for the tests to use and to break."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

DEADLINE_S = 60.0


class Process:
    """A server of ours. Its address is known before it runs, so it can be started again at the same one."""

    def __init__(
        self, name: str, folder: Path, arguments: list[str], env: Mapping[str, str], *, listens: bool = True
    ) -> None:
        self._listens = listens
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self.env = {**os.environ, **env, "FASTCHAT_RUN_DIR": str(folder / "run"), "PYTHONUNBUFFERED": "1"}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        address = ["--host", "127.0.0.1", "--port", str(self.port)] if self._listens else []
        command = [sys.executable, "-m", *self._arguments, *address]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, env=self.env)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        assert self._child is not None
        return self._child.poll()

    def signal(self, number: signal.Signals) -> None:
        assert self._child is not None
        self._child.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
        self.wait()

    def wait(self) -> int:
        assert self._child is not None
        return self._child.wait(DEADLINE_S)

    def logged(self) -> str:
        return self.log.read_text()


class System:
    """A controller, a gateway and any number of workers."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._env = dict(env or {})
        self.processes: list[Process] = []
        self.controller = self._start("controller", ["fastchat.serve.controller"])
        gateway = ["fastchat.serve.openai_api_server", "--controller-address", self.controller.url]
        self.gateway = self._start("gateway", gateway)

    @property
    def url(self) -> str:
        return self.gateway.url

    def worker(self, *names: str, engine: Mapping[str, Any] | None = None, flags: list[str] | None = None) -> Process:
        """A worker with the scripted engine, or with whatever `flags` say."""
        flags = flags or ["--model-path", "scripted", "--engine-args", json.dumps(engine or {})]
        arguments = ["fastchat.serve.model_worker", *flags, "--model-names", ",".join(names)]
        return self._start(f"worker-{len(self.processes)}", [*arguments, "--controller-address", self.controller.url])

    def start_command(self, name: str, arguments: list[str]) -> Process:
        """A process that listens nowhere."""
        return self._start(name, arguments, listens=False)

    def start_server(self, name: str, arguments: list[str]) -> Process:
        return self._start(name, arguments, listens=True)

    def _start(self, name: str, arguments: list[str], *, listens: bool = True) -> Process:
        process = Process(name, self._folder, arguments, self._env, listens=listens)
        process.start()
        self.processes.append(process)
        return process

    async def until_served(self, model: str, workers: int = 1) -> None:
        """Wait until the gateway knows so many workers for the model."""
        async with aiohttp.ClientSession() as session:
            await until(lambda: self._is_served(session, model, workers), f"{model} is served by {workers}")

    async def _is_served(self, session: aiohttp.ClientSession, model: str, workers: int) -> bool:
        try:
            async with session.get(f"{self.controller.url}/workers") as reply:
                snapshot = await reply.json()
            async with session.get(f"{self.url}/metrics") as reply:
                metrics = await reply.text()
        except aiohttp.ClientError:
            return False
        serving = [
            worker["worker_id"]
            for worker in snapshot["workers"]
            if any(served["name"] == model for served in worker["models"])
        ]
        known = [worker for worker in serving if f'fastchat_gateway_worker_load{{worker="{worker}"}}' in metrics]
        return snapshot["is_settled"] and len(serving) == len(known) == workers

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


async def until(is_so: Callable[[], Any], what: str) -> None:
    """Wait for a state; `is_so` may be a coroutine function."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        state = is_so()
        if asyncio.iscoroutine(state):
            state = await state
        if state:
            return
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        await asyncio.sleep(0.02)
