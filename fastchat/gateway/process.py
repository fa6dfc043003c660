"""The life of a gateway process: the fleet kept true in the background, the app on top."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from starlette.types import ASGIApp

from fastchat.access.addresses import TrustedProxies
from fastchat.access.keys import KeyRing
from fastchat.client.discovery import Discovery
from fastchat.client.endpoint_file import REGISTERED
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe
from fastchat.core.serving import Listener, serve
from fastchat.gateway.app import Cors, GatewayApp
from fastchat.gateway.insiders import Insiders
from fastchat.gateway.metrics import GatewayMetrics
from fastchat.gateway.openai_api import OpenAIApi
from fastchat.gateway.web_proxy import WebProxy

CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    controller_url: str  # empty: there is none, only `endpoints`
    token: str | None
    web_url: str | None
    body_limit: int
    idle_s: float
    drain_s: float
    endpoints: Sequence[Endpoint] = ()  # those of a register file
    proxies: TrustedProxies | None = None  # those in front of us; nobody is trusted without
    metrics_from: Sequence[str] = ()  # networks that may read metrics although there is a page


async def run_gateway(options: GatewayOptions, listener: Listener, ring: KeyRing, cors: Cors | None) -> None:
    """Serve until a signal comes."""
    async with gateway(options, ring, cors) as app:
        await serve(app, listener, role="openai_api_server", drain_s=options.drain_s)


@asynccontextmanager
async def gateway(options: GatewayOptions, ring: KeyRing, cors: Cors | None = None) -> AsyncIterator[ASGIApp]:
    """The app, with what it knows kept true for as long as the block lasts."""
    async with _session() as session:
        fleet = Fleet()
        if options.endpoints or not options.controller_url:
            fleet.update(options.endpoints, source=REGISTERED, is_complete=not options.controller_url)
        metrics = GatewayMetrics(fleet)
        pipe = Pipe(fleet, Http1Client(connect_s=CONNECT_S, idle_s=options.idle_s))
        app = GatewayApp(
            OpenAIApi(fleet, pipe, metrics, body_limit=options.body_limit),
            WebProxy(session, options.web_url, options.proxies),
            fleet,
            metrics,
            session,
            Insiders(ring, proxies=options.proxies, networks=options.metrics_from) if options.web_url else None,
        )
        following = None
        if options.controller_url:
            discovery = Discovery(fleet, session, options.controller_url, options.token)
            following = asyncio.create_task(discovery.run())
        try:
            yield app.asgi(ring, cors)
        finally:
            if following is not None:
                following.cancel()
            await pipe.close()


def _session() -> aiohttp.ClientSession:
    """For everything but the models: controller, web page, metrics. It passes bytes on: no cookie of one caller is kept
    for another, nothing is unpacked, and no header is added."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("accept", "accept-encoding", "user-agent"),
    )
