"""The edge that all our HTTP services share: request ids, errors in an envelope, bodies with a limit, cancellation.

Plain ASGI rather than Starlette's middleware classes, which cost more than everything else a gateway does per request.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastchat.core.errors import (
    FastChatError,
    InvalidRequest,
    MethodNotAllowed,
    NoWorker,
    RequestTooLarge,
    UnknownRoute,
)

log = logging.getLogger(__name__)

Envelope: TypeAlias = Callable[[FastChatError], tuple[Mapping[str, Any], Mapping[str, str]]]

ResultT = TypeVar("ResultT")

# Machines ask these every second or so; their lines would bury the others.
_ROUTINE = ("/workers", "/health", "/ready", "/metrics")
_REQUEST_ID = re.compile(rb"^[\x21-\x7e]{1,128}$")


class Edge:
    """Outermost layer of a service. `envelope` turns an error into the body and headers of the API it serves.

    The request id is taken over from the client's `x-request-id` or made here; it stands in `scope["request_id"]`,
    in the answer's headers and in the log line.
    """

    def __init__(self, app: ASGIApp, envelope: Envelope) -> None:
        self._app = app
        self._envelope = envelope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        request_id = _request_id(scope)
        scope["request_id"] = request_id.decode("ascii")
        scope["app"] = self  # makes Starlette's router raise for 404 and 405 instead of answering in plain text
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            if not scope["path"].startswith("/"):
                # `*` and absolute forms are for proxies; glued to an address of ours they would name another host.
                raise InvalidRequest("The request target must be a path.")
            await self._app(scope, receive, send_with_id)
        except ClientLeft:
            status = status or 499  # nginx's number for it; only the log sees it
        except asyncio.CancelledError:
            if not status:  # we are told to stop before there was an answer
                await self._answer(NoWorker("This server is stopping.", retry_after_s=1), scope, receive, send_with_id)
            raise
        except Exception as error:
            if status:  # the answer has begun: all that is left is to break the connection
                raise
            await self._answer(_as_ours(error, scope), scope, receive, send_with_id)
        finally:
            log.log(
                logging.DEBUG if scope["path"].startswith(_ROUTINE) else logging.INFO,
                "%s %s %s",
                scope["method"],
                scope["raw_path"].decode("latin-1"),  # escaped as it came, so nobody writes lines of his own
                status,
                extra={"request_id": scope["request_id"], "ms": round((time.monotonic() - started) * 1000, 1)},
            )

    async def _answer(self, error: FastChatError, scope: Scope, receive: Receive, send: Send) -> None:
        body, headers = self._envelope(error)
        await JSONResponse(body, error.status, dict(headers))(scope, receive, send)


def _request_id(scope: Scope) -> bytes:
    given = header(scope, b"x-request-id")
    if given is not None and _REQUEST_ID.match(given):
        return given
    return b"req_" + secrets.token_hex(12).encode()


def _as_ours(error: Exception, scope: Scope) -> FastChatError:
    if isinstance(error, FastChatError):
        return error
    if isinstance(error, HTTPException) and error.status_code == 404:
        return UnknownRoute(f"There is nothing at {scope['method']} {scope['path'][:200]}.")
    if isinstance(error, HTTPException) and error.status_code == 405:
        return MethodNotAllowed(f"{scope['path'][:200]} does not take {scope['method']}.")
    log.exception("unexpected error", exc_info=error, extra={"request_id": scope["request_id"]})
    return FastChatError("Something went wrong on the server. Its log has the details under this request's id.")


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of this (lower-case) name."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value for key, value in headers if key == name), None)


async def read_body(scope: Scope, receive: Receive, limit: int, *, may_be_encoded: bool = False) -> bytes:
    """The whole body, at most `limit` bytes.

    Raises:
        RequestTooLarge: more was announced or sent.
        InvalidRequest: it is compressed, which we do not read.
    """
    encoding = header(scope, b"content-encoding")
    if encoding not in (None, b"identity") and not may_be_encoded:
        name = (encoding or b"").decode("latin-1")[:40]
        raise InvalidRequest(f"Content-Encoding {name!r} is not supported; send the body as it is.")
    announced = int(header(scope, b"content-length") or 0)
    parts: list[bytes] = []
    size = 0
    # A client that is still sending does not see an answer, so a body that is too large is read on for a while.
    while announced <= 4 * limit and size <= 4 * limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        if not message.get("more_body", False):
            break
    if max(announced, size) > limit:
        raise RequestTooLarge(f"The body is larger than {limit / 2**20:g} MiB, the most this server takes.")
    return b"".join(parts)


class ClientLeft(Exception):
    """The client closed the connection; nobody is left to answer."""


async def while_connected(receive: Receive, work: Awaitable[ResultT]) -> ResultT:
    """Await `work`; cancel it as soon as the client is gone. The body must have been read.

    Raises:
        ClientLeft: the client closed the connection before `work` was done.
    """
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        has_left = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if has_left and not task.uncancel():
            raise ClientLeft from None
        raise
    finally:
        watcher.cancel()


class Raw:
    """An ASGI endpoint. Starlette's wrapper for plain functions costs a task group, which a hot path can do without."""

    def __init__(self, handler: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._handler(scope, receive, send)


class EventStream:
    """Server-sent events to a client. A comment keeps the connection alive while nothing else is said."""

    def __init__(self, send: Send, keep_alive_s: float = 15.0) -> None:
        self._send = send
        self._keep_alive_s = keep_alive_s
        self._is_silent = True
        self._ticker: asyncio.Task[None] | None = None
        self.has_begun = False

    async def __aenter__(self) -> "EventStream":
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()

    async def write(self, events: bytes) -> None:
        if not self.has_begun:
            self.has_begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _EVENT_HEADERS})
        self._is_silent = False
        await self._send({"type": "http.response.body", "body": events, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tick(self) -> None:
        was_silent = False
        while True:
            self._is_silent = True
            await asyncio.sleep(self._keep_alive_s / 2)
            if self._is_silent and was_silent:
                await self.write(b": keep-alive\n\n")
            was_silent = self._is_silent


_EVENT_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx in front would collect the events
]
