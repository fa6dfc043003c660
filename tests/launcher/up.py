"""A real `fastchat up` in a process of its own, with everything it starts."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from fastchat.launcher.remote import Remote

READY = re.compile(r"Ready at (http://\S+)")
Json = dict[str, Any]


class Up:
    def __init__(self, process: subprocess.Popen[str], run_dir: Path) -> None:
        assert process.stdout is not None
        self.process = process
        self.output = process.stdout
        self.run_dir = run_dir
        self.said = ""  # until it was ready

    def wait_until_ready(self) -> None:
        while "Logs: " not in self.said:
            line = self.output.readline()
            assert line, f"it ended before it was ready:\n{self.said}"
            self.said += line

    @property
    def url(self) -> str:
        found = READY.search(self.said)
        assert found
        return found[1]

    @property
    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def parts(self, subcommand: str) -> list[psutil.Process]:
        """The children that run it."""
        found = []
        for process in self.family:
            with suppress(psutil.Error):  # it may be gone by now
                if process.cmdline()[4:5] == [subcommand]:
                    found.append(process)
        return found

    async def command(self, *arguments: str) -> str:
        """What another `fastchat` command prints that is called beside it."""
        process = start(*arguments, run_dir=self.run_dir)
        output, _ = await asyncio.to_thread(process.communicate)
        return output

    async def models(self) -> dict[str, Json]:
        """By first name, as `fastchat models list` has it."""
        listed = json.loads(await self.command("models", "list", "--json"))["models"]
        return {model["names"][0]: model for model in listed}

    @asynccontextmanager
    async def remote(self) -> AsyncIterator[Remote]:
        """What `fastchat models` uses, without the time a command takes to start."""
        [path] = self.run_dir.glob("up-*.sock")
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as session:
            yield Remote(session)

    async def ended(self) -> str:
        output, _ = await asyncio.to_thread(self.process.communicate)
        return output

    async def chat(self, model: str, text: str, **fields: Any) -> str:
        """An answer, asked for again while the model's worker is starting or being replaced."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        async with aiohttp.ClientSession() as session:
            while True:
                async with session.post(f"{self.url}/v1/chat/completions", json=body) as answer:
                    content = await answer.json()
                if answer.status not in (404, 502, 503):
                    return str(content["choices"][0]["message"]["content"])
                await asyncio.sleep(0.1)

    async def stream(self, model: str, text: str, **fields: Any) -> AsyncIterator[str]:
        """The increments of an answer."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **fields}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/v1/chat/completions", json=body) as answer,
        ):
            answer.raise_for_status()
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    choices = json.loads(line[6:])["choices"]
                    yield choices[0]["delta"].get("content") or "" if choices else ""


def start(*arguments: str, run_dir: Path) -> subprocess.Popen[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FASTCHAT_")}
    return subprocess.Popen(
        [sys.executable, "-m", "fastchat", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environ | {"FASTCHAT_RUN_DIR": str(run_dir)},
    )


@contextmanager
def up(*arguments: str, run_dir: Path) -> Iterator[Up]:
    """Started and ready; stopped at the end if it still runs."""
    with start("up", "--port", "0", *arguments, run_dir=run_dir) as process:
        try:
            system = Up(process, run_dir)
            system.wait_until_ready()
            yield system
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate()
