"""A gateway inside another process: the page's, where no API server runs. Only this process knows its key."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import uvicorn

from fastchat.access.keys import KeyRing
from fastchat.core.serving import Listener
from fastchat.gateway.process import GatewayOptions, gateway

LOOPBACK = "127.0.0.1"


class EmbeddedGateway(NamedTuple):
    url: str
    key: str


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to whoever we are in


@asynccontextmanager
async def embedded_gateway(options: GatewayOptions) -> AsyncIterator[EmbeddedGateway]:
    """Serves on a loopback port of its own for as long as the block lasts.

    Raises:
        SetupError: there is no port left.
    """
    key = secrets.token_urlsafe(24)
    listener = Listener(LOOPBACK, 0)
    listener.socket.listen()  # whoever is told the address may come at once
    with contextlib.closing(listener.socket):
        async with gateway(options, KeyRing.load([key])) as app:
            server = _Server(
                uvicorn.Config(
                    app,
                    log_config=None,
                    access_log=False,
                    lifespan="off",
                    ws="none",
                    timeout_keep_alive=75,
                    timeout_graceful_shutdown=max(1, round(options.drain_s)),
                )
            )
            serving = asyncio.create_task(server.serve(sockets=[listener.socket]))
            try:
                yield EmbeddedGateway(listener.url, key)
            finally:
                server.should_exit = True
                await serving
