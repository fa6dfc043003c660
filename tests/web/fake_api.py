"""A small OpenAI API whose every answer a test decides, on a real socket: cancelling cannot be seen without one."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp


@dataclass(frozen=True)
class Failure:
    status: int
    code: str
    message: str = "The fake API says no."
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeApi:
    """What it answers, and what it saw. Tests change the fields while it runs, from their own thread."""

    url: str = ""
    models: list[str] = field(default_factory=lambda: ["tiny-chat"])
    models_failure: Failure | None = None
    thoughts: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=lambda: ["Hello", " from", " the", " fake", " API."])
    pieces_of: dict[str, list[str]] = field(default_factory=dict)  # by model, where models differ
    finish_reason: str | None = "stop"  # None: the stream just ends, as when the worker is gone
    failure: Failure | None = None
    garbage: str = ""  # sent as the stream's first event
    broken_after: int | None = None  # after so many pieces an error event ends the stream
    held_after: int | None = None  # after so many pieces the stream waits for `go_on`
    go_on: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, Any]] = field(default_factory=list)
    model_requests: int = 0
    was_asked: threading.Event = field(default_factory=threading.Event)
    was_left: threading.Event = field(default_factory=threading.Event)  # a client went away before the end

    def reset(self) -> None:
        fresh = FakeApi(url=self.url)
        self.go_on.set()  # whatever is still held may end
        for one in fields(self):
            setattr(self, one.name, getattr(fresh, one.name))

    def app(self) -> ASGIApp:
        return Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )

    async def _models(self, _: Request) -> Response:
        self.model_requests += 1
        if self.models_failure:
            return _refusal(self.models_failure)
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "tests"} for name in self.models]
        return JSONResponse({"object": "list", "data": data})

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        self.was_asked.set()
        if self.failure:
            return _refusal(self.failure)
        return StreamingResponse(self._stream(request, body["model"]), media_type="text/event-stream")

    async def _stream(self, request: Request, model: str) -> AsyncIterator[str]:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": model}
        if self.garbage:
            yield f"data: {self.garbage}\n\n"
        for thought in self.thoughts:
            yield _event(head | _choice({"reasoning_content": thought}))
        pieces = self.pieces_of.get(model, self.pieces)
        for number, piece in enumerate([*pieces, None]):
            if number == self.held_after and not await self._may_go_on(request):
                return
            if number == self.broken_after:
                yield _event({"error": {"message": "The worker died", "type": "server_error"}})
                return
            if piece is not None:
                yield _event(head | _choice({"content": piece}))
        if self.finish_reason:
            tokens = len(self.thoughts) + len(pieces)
            yield _event(head | _choice({}, self.finish_reason))
            yield _event(head | {"choices": [], "usage": _usage(tokens)})
            yield "data: [DONE]\n\n"

    async def _may_go_on(self, request: Request) -> bool:
        go_on, was_left = self.go_on, self.was_left
        try:
            while not go_on.is_set() and not await request.is_disconnected():
                await asyncio.sleep(0.01)
        finally:  # Starlette may also cancel a stream whose client left
            if not go_on.is_set():
                was_left.set()
        return go_on.is_set()


def _refusal(failure: Failure) -> Response:
    error = {"message": failure.message, "type": "error", "param": None, "code": failure.code}
    return JSONResponse({"error": error}, failure.status, failure.headers)


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}


def _event(payload: dict[str, Any]) -> str:
    return f"data: {json.dumps(payload)}\n\n"


@contextmanager
def fake_api() -> Iterator[FakeApi]:
    """The API on a free loopback port, served by a thread."""
    api = FakeApi()
    server = uvicorn.Server(
        uvicorn.Config(api.app(), port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the fake API did not start"
    host, port = server.servers[0].sockets[0].getsockname()
    api.url = f"http://{host}:{port}"
    try:
        yield api
    finally:
        api.go_on.set()
        server.should_exit = True
        thread.join()
