"""Our side of the process that holds the pipeline (`host.py`): commands out, events in, each to whom it concerns."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from fastchat.core.errors import ContextLengthExceeded, FastChatError, InvalidRequest, SetupError, WorkerFailed
from fastchat.engines.base import FinishReason
from fastchat.engines.openvino.forms import param_of
from fastchat.engines.openvino.settings import HostSettings

Line: TypeAlias = Mapping[str, Any]
_LONGEST_LINE = 2**27  # the first one holds the vocabulary
_PATIENCE_S = 5  # after which a process that does not end is ended
_GONE: Line = {"error": "Its process has ended.", "kind": "failed"}


class Step(NamedTuple):
    """What one step brought a request; the first of all only says how long the prompt is."""

    tokens: list[int]
    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = None


class PipelineProcess:
    def __init__(self, child: asyncio.subprocess.Process, settings: HostSettings) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._child = child
        self._stdin, self._stdout = child.stdin, child.stdout
        self._context_length = settings.context_length
        self._numbers = count()
        self._waiting: dict[int, asyncio.Queue[Line]] = {}
        self._reading: asyncio.Task[None] | None = None
        self.is_alive = True

    @classmethod
    async def start(cls, settings: HostSettings) -> "tuple[PipelineProcess, Line]":
        """The process, and what it says of the model.

        Raises:
            SetupError: the library refuses the model.
        """
        child = await asyncio.create_subprocess_exec(
            # -P: a folder `fastchat` where the user happens to stand is not imported in our place
            *(sys.executable, "-P", "-m", "fastchat.engines.openvino.host"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        process = cls(child, settings)
        try:
            process._send(settings.model_dump())
            first = json.loads(await process._stdout.readline() or b"{}")
            if "ready" not in first:
                reason = first.get("failed", "the process ended")
                raise SetupError(f"OpenVINO cannot load {settings.model_path!r}: {reason}")
        except BaseException:
            await process.close()
            raise
        process._reading = asyncio.create_task(process._read())
        return process, first["ready"]

    @asynccontextmanager
    async def generating(self, order: Line) -> AsyncIterator[AsyncIterator[Step]]:
        """The steps of a request; leaving ends it."""
        with self._own_queue() as (number, events):
            self._send({"do": "generate", "id": number, **order})
            try:
                yield self._steps(events, order)
            finally:
                if self.is_alive:
                    self._send({"do": "cancel", "id": number})

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        with self._own_queue() as (number, events):
            self._send({"do": "tokenize", "id": number, "text": text, "add_special": add_special})
            event = await events.get()
            if "error" in event:
                raise self._error(event)
            tokens: list[int] = event["tokens"]
            return tokens

    async def close(self) -> None:
        self.is_alive = False
        self._stdin.close()
        try:
            await asyncio.wait_for(self._child.wait(), _PATIENCE_S)
        except TimeoutError:
            self._child.kill()
            await self._child.wait()
        if self._reading is not None:
            await self._reading

    async def _steps(self, events: "asyncio.Queue[Line]", order: Line) -> AsyncIterator[Step]:
        while True:
            event = await events.get()
            if event.get("kind") == "form":
                raise InvalidRequest(
                    f"The form of the answer cannot be enforced: {event['error']}", param=param_of(order["form"])
                )
            if "error" in event:
                raise self._error(event)
            if "prompt_tokens" in event:
                yield Step([], prompt_tokens=event["prompt_tokens"])
                continue
            yield Step(event["tokens"], event["reason"])
            if event["reason"] is not None:
                return

    def _error(self, event: Line) -> FastChatError:
        match event["kind"]:
            case "context":
                return ContextLengthExceeded(event["tokens"], self._context_length)
            case "invalid":
                return InvalidRequest(f"OpenVINO refuses this: {event['error']}")
            case _:
                return WorkerFailed(f"OpenVINO failed: {event['error']}")

    @contextmanager
    def _own_queue(self) -> Iterator[tuple[int, "asyncio.Queue[Line]"]]:
        if not self.is_alive:
            raise WorkerFailed("The engine is closed, or its process has ended.")
        number = next(self._numbers)
        self._waiting[number] = asyncio.Queue()
        try:
            yield number, self._waiting[number]
        finally:
            del self._waiting[number]

    def _send(self, line: Line) -> None:
        self._stdin.write(json.dumps(line).encode() + b"\n")

    async def _read(self) -> None:
        """Hand each event on, until the process ends."""
        with suppress(ConnectionError, json.JSONDecodeError):  # the latter of half a line, its last
            async for text in self._stdout:
                line = json.loads(text)
                for number, tokens, reason in line.get("step", ()):
                    self._deliver(number, {"tokens": tokens, "reason": reason})
                if "id" in line:
                    self._deliver(line["id"], line)
        self.is_alive = False
        for events in self._waiting.values():
            events.put_nowait(_GONE)

    def _deliver(self, number: int, event: Line) -> None:
        if (events := self._waiting.get(number)) is not None:  # else its caller has left
            events.put_nowait(event)
