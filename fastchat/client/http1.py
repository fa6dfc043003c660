"""A small HTTP/1.1 client for the one hop that every request and every token takes.

It does what this hop needs and nothing else: POST with a body, answers of known length, in chunks or up to the end of
the connection, kept connections, TLS. aiohttp, which everything else here uses, takes several times the CPU for it
(`benchmarks/http_client.py`). The parsing is httptools', that is llhttp's.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

from fastchat.core.errors import NoWorker, WorkerFailed, WorkerTimeout

KEEP_S = 30.0  # our servers keep theirs for longer, so it is mostly us who close first
BUFFER_LIMIT = 2**18  # bytes read ahead of a slow caller


class _Address(NamedTuple):
    host: str
    port: int
    is_tls: bool
    authority: bytes  # for the Host header
    prefix: bytes  # path before the route


@lru_cache(maxsize=4096)
def _address(base_url: str) -> _Address:
    url = urlsplit(base_url)
    is_tls = url.scheme == "https"
    port = url.port or (443 if is_tls else 80)
    return _Address(
        url.hostname or "localhost", port, is_tls, url.netloc.rpartition("@")[2].encode(), url.path.encode()
    )


class Connection(asyncio.Protocol):
    """Carries one exchange after the other. Read from by one task at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_s: float) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.is_open = True
        self.is_at_end = True  # nothing of an answer is outstanding
        self.has_head = False
        self.idle_since = 0.0
        self._loop = loop
        self._idle_s = idle_s
        self._transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser
        self._parts: list[bytes] = []
        self._buffered = 0
        self._is_paused = False
        self._keeps_alive = False
        self._has_surplus = False  # more than one answer came for one request: it is nobody's
        self._is_timed_out = False
        self._heard_at = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def exchange(self, request: bytes) -> None:
        """Send a request and wait for status and headers of the answer."""
        self._parser = httptools.HttpResponseParser(self)
        self.headers, self._parts, self._buffered = {}, [], 0
        self.is_at_end = self.has_head = self._has_surplus = False
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_later(self._idle_s, self._check_silence)
        self._transport.write(request)
        while not self.has_head:
            await self._more()

    async def read_some(self) -> bytes:
        """What has come of the body since; b"" at its end."""
        while not self._parts and not self.is_at_end:
            await self._more()
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._is_paused:
            self._is_paused = False
            self._heard_at = self._loop.time()
            self._transport.resume_reading()
        return body

    async def read(self) -> bytes:
        """The rest of the body."""
        pieces = []
        while piece := await self.read_some():
            pieces.append(piece)
        return b"".join(pieces)

    @property
    def can_be_kept(self) -> bool:
        return self.is_open and self.is_at_end and self._keeps_alive and not self._parts and not self._has_surplus

    def close(self) -> None:
        self._stop_timer()
        self._transport.abort()  # what is still to be sent is no longer wanted

    async def _more(self) -> None:
        """Wait until something has come.

        Raises:
            WorkerTimeout: nothing did for too long.
            WorkerFailed: the connection broke.
        """
        if self.is_open:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._is_timed_out:
            raise WorkerTimeout(f"No byte came from the worker for {self._idle_s:g} seconds.")
        if not self.is_open and not self.is_at_end:
            raise WorkerFailed("The worker broke the connection.")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _check_silence(self) -> None:
        # Set once an answer instead of anew for each of its chunks, which come by the thousand.
        left = self._heard_at + self._idle_s - self._loop.time()
        if left > 0 or self._is_paused:
            self._timer = self._loop.call_later(max(left, 1.0), self._check_silence)
            return
        self._is_timed_out = True
        self._transport.abort()
        self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, but not the name

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self.is_at_end:  # an answer nobody asked for
            self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()
        if self._buffered > BUFFER_LIMIT and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._stop_timer()
        ends_with_connection = "content-length" not in self.headers and "transfer-encoding" not in self.headers
        if self.has_head and ends_with_connection and error is None and not self._is_timed_out:
            self.is_at_end = True
        self._wake()

    # What httptools calls

    def on_message_begin(self) -> None:
        self._has_surplus = self.is_at_end

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._has_surplus:
            return
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._has_surplus:
            return
        self.status = self._parser.get_status_code()
        self.has_head = self.status >= 200  # before it there may be 1xx, which say nothing

    def on_body(self, body: bytes) -> None:
        if self._has_surplus:
            return
        self._parts.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self._has_surplus:
            return
        if not self.has_head:
            self.headers = {}
            return
        self._keeps_alive = self._parser.should_keep_alive()
        self.is_at_end = True
        self._stop_timer()


class Http1Client:
    """Connections to any number of servers, kept for the next request."""

    def __init__(
        self,
        *,
        connect_s: float,
        idle_s: float,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.connect_s = connect_s
        self.idle_s = idle_s
        self._tls = tls
        self._clock = clock or time.monotonic
        self._kept: dict[_Address, deque[Connection]] = {}  # oldest first

    async def post(self, base_url: str, path: str, headers: Mapping[str, str], body: bytes) -> Connection:
        """Send a request; returns when status and headers of the answer are there. To be given to `release` in the end.

        Raises:
            NoWorker: nobody accepts a connection.
            WorkerFailed: it broke.
            WorkerTimeout: the server accepted the request and then said nothing.
        """
        address = _address(base_url)
        request = _request(address, path, headers, body)
        kept = self._take_kept(address)
        if kept is not None:
            try:
                return await self._exchange(kept, request)
            except WorkerFailed:
                # Most likely the server had closed it while it was idle. The others of its age share its fate.
                self._drop_kept(address)
        return await self._exchange(await self._connect(address), request)

    def release(self, base_url: str, connection: Connection) -> None:
        """Keep the connection if its answer was read to the end; else close it, which tells the server to stop."""
        if connection.can_be_kept:
            connection.idle_since = self._clock()
            self._kept.setdefault(_address(base_url), deque()).append(connection)
        else:
            connection.close()

    def close(self) -> None:
        for address in list(self._kept):
            self._drop_kept(address)

    async def _exchange(self, connection: Connection, request: bytes) -> Connection:
        try:
            await connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        return connection

    def _take_kept(self, address: _Address) -> Connection | None:
        """The connection used last; those that have grown old meanwhile are closed."""
        kept = self._kept.get(address)
        while kept and not self._is_fresh(kept[0]):
            kept.popleft().close()
        while kept:
            connection = kept.pop()
            if connection.is_open:
                return connection
        self._kept.pop(address, None)
        return None

    def _is_fresh(self, connection: Connection) -> bool:
        return connection.is_open and self._clock() - connection.idle_since < KEEP_S

    def _drop_kept(self, address: _Address) -> None:
        for connection in self._kept.pop(address, ()):
            connection.close()

    async def _connect(self, address: _Address) -> Connection:
        loop = asyncio.get_running_loop()
        if address.is_tls and self._tls is None:
            self._tls = ssl.create_default_context()
        tls = self._tls if address.is_tls else None
        try:
            async with asyncio.timeout(self.connect_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, self.idle_s), address.host, address.port, ssl=tls
                )
        except (OSError, TimeoutError) as error:
            raise NoWorker(
                "No worker that serves this model accepts connections at the moment.", retry_after_s=1
            ) from error
        return connection


def _request(address: _Address, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
    return b"POST %b%b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        address.prefix,
        path.encode(),
        address.authority,
        lines,
        len(body),
        body,
    )
