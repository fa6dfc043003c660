"""Every byte that a server sends to a browser: a TCP proxy between the two, which keeps what passes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Recorder:
    def __init__(self, server_url: str) -> None:
        self._target = urlsplit(server_url)
        self.url = ""
        self.sent = bytearray()  # to the browser, from all connections

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_server = await asyncio.open_connection(self._target.hostname, self._target.port)
        with suppress(ConnectionError):
            await asyncio.gather(self._ask(reader, to_server), self._answer(upstream, writer))

    async def _ask(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                # What is compressed cannot be searched.
                to_server.write(data.replace(b"Accept-Encoding:", b"Not-Accepted-At:"))
                await to_server.drain()
        to_server.close()

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await upstream.read(65536):
                self.sent += data
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def recorded(server_url: str) -> AsyncIterator[Recorder]:
    recorder = Recorder(server_url)
    server = await asyncio.start_server(recorder.connect, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    recorder.url = f"http://{host}:{port}"
    try:
        yield recorder
    finally:
        server.close()
