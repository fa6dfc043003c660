"""llama.cpp's HTTP server, running inside this process on a loopback port that only we have the key to.

HTTP, because a call into the library cannot be stopped before its first token: closing the connection can.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp

from fastchat.core.errors import FastChatError, SetupError, WorkerFailed
from fastchat.engines.llamacpp.errors import mapped_errors, reply_error

_PATIENCE_S = 600  # the longest silence: even a large model on a slow CPU reports on a batch of its prompt before that
_HEALTH_S = 30


class LlamaServer:
    """Built by `start`. One HTTP client, closed with the server."""

    def __init__(self, native: Any, key: str) -> None:
        self._native = native  # an xllamacpp.Server; it runs until its last reference goes
        # The server keeps a thread for every open connection, idle ones too: never leave one open.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        self._http = aiohttp.ClientSession(
            native.listening_address,
            connector=connector,
            headers={"Authorization": f"Bearer {key}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_PATIENCE_S),
            read_bufsize=2**20,  # a line of the stream has to fit
        )

    @classmethod
    async def start(cls, library: Any, parameters: Any) -> "LlamaServer":
        """
        Raises:
            SetupError: llama.cpp refuses the model or the parameters.
        """
        key = secrets.token_urlsafe(32)
        parameters.api_keys = [key]
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        try:
            # The library holds the interpreter's lock while it loads; a thread only keeps the code path asynchronous.
            native = await asyncio.to_thread(library.Server, parameters)
        except RuntimeError:
            raise SetupError(
                f"llama.cpp could not load {parameters.model.path!r}. It does not know this kind of model, or a chat "
                "template, adapter or projector given with it is wrong, or memory ran out. With 'verbosity: 1' in "
                "engine_args it says which."
            ) from None
        return cls(native, key)

    async def get(self, path: str) -> Any:
        return await self._call("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self._call("POST", path, body)

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of a streamed answer. Leaving the block closes the connection, which stops the work behind it."""
        with self._mapped_errors():
            async with self._http.post(path, json=body) as response:
                try:
                    if response.status != 200:
                        raise await _error(response)
                    yield _events(response)
                finally:
                    response.close()

    async def is_healthy(self) -> bool:
        # Not /health: that is answered even when the loop that runs the model no longer turns.
        try:
            async with asyncio.timeout(_HEALTH_S):
                await self.get("/slots")
        except (FastChatError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        await self._http.close()
        self._native = None

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        with self._mapped_errors():
            async with self._http.request(method, path, json=body) as response:
                if response.status != 200:
                    raise await _error(response)
                return await response.json()

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            with mapped_errors():
                yield
        except RuntimeError:
            if not self._http.closed:
                raise
            # That is what aiohttp calls it when its session is closed while somebody reads.
            raise WorkerFailed("The engine was closed.") from None


async def _error(response: aiohttp.ClientResponse) -> FastChatError:
    try:
        body = await response.json(content_type=None)
    except ValueError:
        body = None
    return reply_error(response.status, body)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """`data: {…}` lines as they come.

    Raises:
        FastChatError: the server reports a failure in the stream, or ends it without a last event.
    """
    async for line in response.content:
        if line.startswith((b"data: {", b"error: {")):
            event = json.loads(line[line.index(b"{") :])
            if "error" in event or line.startswith(b"error"):
                raise reply_error(200, event if "error" in event else {"error": event})
            yield event
