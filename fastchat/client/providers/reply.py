"""An answer whose bytes are made while they are read."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, suppress

from fastchat.core.errors import FastChatError, NoWorker, RequestError, WorkerFailed, WorkerTimeout
from fastchat.protocol.openai import error_reply

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
JSON = {"content-type": "application/json"}
_EVENT_STREAM = "text/event-stream; charset=utf-8"
EVENTS = {"content-type": _EVENT_STREAM, "cache-control": "no-cache"}


class ProviderReply:
    """A `Reply`. `errors` turns what the provider's SDK raises into our errors."""

    def __init__(
        self,
        headers: Mapping[str, str],
        source: AsyncGenerator[bytes, None],
        errors: Callable[[], AbstractContextManager[None]],
        idle_s: float,
    ) -> None:
        self.status = 200
        self.headers = dict(headers)
        self._source = source
        self._errors = errors
        self._idle_s = idle_s
        self._first: bytes | None = None
        self._is_between_events = False
        self._silent_s = 0.0
        self._coming: asyncio.Task[bytes] | None = None

    async def begin(self) -> None:
        """Wait for the first bytes, so that a refusal can still be this reply's status and content.

        Raises:
            UpstreamError: there will be no answer.
        """
        try:
            self._first = await self._next(self._idle_s)
        except RequestError as error:
            fields, headers = error_reply(error)
            self.status, self.headers, self._first = error.status, {**JSON, **headers}, json.dumps(fields).encode()
        if self._first is None:
            raise WorkerTimeout(f"The provider said nothing for {self._idle_s:g} seconds.")

    async def read_some(self) -> bytes:
        if self._first is not None:
            data, self._first = self._first, None
        else:
            data = await self._read_on()
        self._is_between_events = data.endswith(b"\n\n") and self.headers.get("content-type") == _EVENT_STREAM
        return data

    async def _read_on(self) -> bytes:
        """What comes next. Between the events of a stream a comment breaks the silence, before others give up on it."""
        while self._silent_s < self._idle_s:
            wait_s = min(KEEP_ALIVE_S, self._idle_s - self._silent_s)
            data = await self._next_of_begun(wait_s)
            if data is not None:
                self._silent_s = 0.0
                return data
            self._silent_s += wait_s
            if self._is_between_events:
                return KEEP_ALIVE
        raise WorkerTimeout(f"The provider was silent for {self._idle_s:g} seconds.")

    async def read(self) -> bytes:
        pieces = []
        while piece := await self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    async def close(self) -> None:
        """Ends the provider's stream, if it still runs."""
        if self._coming is not None:
            self._coming.cancel()
            with suppress(asyncio.CancelledError, FastChatError):
                await self._coming
        await self._source.aclose()

    async def _next_of_begun(self, timeout_s: float) -> bytes | None:
        try:
            return await self._next(timeout_s)
        except (RequestError, NoWorker) as error:  # too late for a status, and for another endpoint
            raise WorkerFailed(error.message) from error

    async def _next(self, timeout_s: float) -> bytes | None:
        """What comes next, b"" at the end, or None if nothing came in time; then it is still awaited."""
        # A task, because giving up waiting must not break off what is waited for.
        self._coming = self._coming or asyncio.ensure_future(self._pull())
        done, _ = await asyncio.wait({self._coming}, timeout=timeout_s)
        if not done:
            return None
        coming, self._coming = self._coming, None
        return coming.result()

    async def _pull(self) -> bytes:
        try:
            with self._errors():
                return await anext(self._source, b"")
        except FastChatError:
            raise
        except Exception as error:
            log.exception("a provider's answer could not be translated")
            raise WorkerFailed("The provider's answer could not be read. The server's log says more.") from error
