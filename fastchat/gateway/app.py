"""The gateway as an ASGI app: API routes with keys in front, the web page behind."""

from collections.abc import Sequence

import aiohttp
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from fastchat.access.keys import KeyGuard, KeyRing
from fastchat.client.fleet import Fleet
from fastchat.core.errors import NoWorker
from fastchat.core.http import Edge
from fastchat.gateway.api_docs import api_page, openapi_document
from fastchat.gateway.insiders import Insiders
from fastchat.gateway.metrics import GatewayMetrics
from fastchat.gateway.openai_api import OpenAIApi
from fastchat.gateway.web_proxy import WebProxy
from fastchat.protocol.openai import error_reply

PROTECTED = ("/v1", "/tokenize", "/detokenize")


class GatewayApp:
    def __init__(
        self,
        api: OpenAIApi,
        web: WebProxy,
        fleet: Fleet,
        metrics: GatewayMetrics,
        session: aiohttp.ClientSession,
        insiders: Insiders | None = None,
    ) -> None:
        self._api = api
        self._web = web
        self._fleet = fleet
        self._metrics = metrics
        self._session = session
        self._insiders = insiders  # who may see the metrics; None: everybody

    def asgi(self, ring: KeyRing, cors: "Cors | None" = None) -> ASGIApp:
        routes = [
            *self._api.routes(),
            Route("/health", self.health, methods=["GET"]),
            Route("/ready", self.ready, methods=["GET"]),
            Route("/metrics", self.show_metrics, methods=["GET"]),
            Route("/openapi.json", self.show_openapi, methods=["GET"]),
            Route("/docs", self.show_docs, methods=["GET"]),
        ]
        router = Router(routes, default=self._web, redirect_slashes=False)
        app = Edge(KeyGuard(router, ring, PROTECTED), error_reply)
        return cors.around(app) if cors else app

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, _: Request) -> Response:
        models = list(self._fleet.models)
        if not models:
            raise NoWorker("No model answers yet.", retry_after_s=1)
        return JSONResponse({"status": "ready", "models": models})

    async def show_metrics(self, request: Request) -> Response:
        if self._insiders:
            self._insiders.check(request.scope)
        page = await self._metrics.render(self._session)
        return Response(page, media_type="text/plain; version=0.0.4")

    async def show_openapi(self, _: Request) -> Response:
        return JSONResponse(openapi_document())

    async def show_docs(self, _: Request) -> Response:
        return HTMLResponse(api_page())


class Cors:
    """Which web pages of other origins may call the API from a browser."""

    def __init__(
        self, origins: Sequence[str], methods: Sequence[str], headers: Sequence[str], *, with_credentials: bool
    ) -> None:
        self._origins = origins
        self._methods = methods
        self._headers = headers
        self._with_credentials = with_credentials

    def around(self, app: ASGIApp) -> ASGIApp:
        return CORSMiddleware(
            app,
            allow_origins=self._origins,
            allow_methods=self._methods,
            allow_headers=self._headers,
            allow_credentials=self._with_credentials,
            expose_headers=["x-request-id"],
        )
