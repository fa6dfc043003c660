"""The life of a gateway process: the fleet kept true in the background, the app on top."""

import asyncio
from dataclasses import dataclass

import aiohttp

from fastchat.access.keys import KeyRing
from fastchat.client.discovery import Discovery
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe
from fastchat.core.serving import Listener, serve
from fastchat.gateway.app import Cors, GatewayApp
from fastchat.gateway.metrics import GatewayMetrics
from fastchat.gateway.openai_api import OpenAIApi
from fastchat.gateway.web_proxy import WebProxy

CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    controller_url: str
    token: str | None
    web_url: str | None
    body_limit: int
    idle_s: float
    drain_s: float


async def run_gateway(options: GatewayOptions, listener: Listener, ring: KeyRing, cors: Cors | None) -> None:
    """Serve until a signal comes."""
    async with _session() as session:
        fleet = Fleet()
        metrics = GatewayMetrics(fleet)
        client = Http1Client(connect_s=CONNECT_S, idle_s=options.idle_s)
        pipe = Pipe(fleet, client)
        app = GatewayApp(
            OpenAIApi(fleet, pipe, metrics, body_limit=options.body_limit),
            WebProxy(session, options.web_url),
            fleet,
            metrics,
            session,
        )
        following = asyncio.create_task(Discovery(fleet, session, options.controller_url, options.token).run())
        try:
            await serve(app.asgi(ring, cors), listener, role="openai_api_server", drain_s=options.drain_s)
        finally:
            following.cancel()
            client.close()


def _session() -> aiohttp.ClientSession:
    """For everything but the models: controller, web page, metrics. It passes bytes on: no cookie of one caller is kept
    for another, nothing is unpacked, and no header is added."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("accept", "accept-encoding", "user-agent"),
    )
