"""The controller's HTTP face (`protocol/control.py` describes it)."""

import asyncio
import hmac
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from fastchat.controller.registry import WorkerRegistry
from fastchat.core.errors import AuthenticationFailed, InvalidRequest
from fastchat.core.http import Edge, read_body
from fastchat.protocol.control import Announcement, WorkerId
from fastchat.protocol.openai import error_reply, invalid_request

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 60.0
SWEEP_S = 0.25
BODY_LIMIT = 2**20

_WORKER_ID: TypeAdapter[str] = TypeAdapter(WorkerId)


class ControllerApp:
    def __init__(self, registry: WorkerRegistry, token: str | None) -> None:
        self._registry = registry
        self._token = token
        self._changed = asyncio.Event()
        self._is_closing = False

    def asgi(self) -> ASGIApp:
        routes = [
            Route("/workers", self.list_workers, methods=["GET"]),
            Route("/workers/{worker_id}", self.announce, methods=["PUT"]),
            Route("/workers/{worker_id}", self.sign_off, methods=["DELETE"]),
            Route("/health", self.health, methods=["GET"]),
        ]
        return Edge(Router(routes, lifespan=self._lifespan), error_reply)

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeper.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            version = self._registry.version
            for worker_id in self._registry.expire():
                log.warning("worker fell silent", extra={"worker": worker_id})
            self._tell_if_changed_since(version)

    def _tell_if_changed_since(self, version: str) -> None:
        if self._registry.version != version:
            waiting, self._changed = self._changed, asyncio.Event()
            waiting.set()

    def stop_waiting(self) -> None:
        """Answer everybody who waits for a change, so that the process can end."""
        self._is_closing = True
        self._changed.set()

    async def list_workers(self, request: Request) -> Response:
        """The snapshot; with `after`, once the version is another one or `wait_s` seconds have passed."""
        self._check(request)
        wait_s = _seconds(request.query_params.get("wait_s", "0"))
        deadline = time.monotonic() + wait_s
        while request.query_params.get("after") == self._registry.version and not self._is_closing:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), remaining_s)
        return Response(self._registry.snapshot().model_dump_json(), media_type="application/json")

    async def announce(self, request: Request) -> Response:
        self._check(request)
        try:
            worker_id = _WORKER_ID.validate_python(request.path_params["worker_id"])
            body = await read_body(request.scope, request.receive, BODY_LIMIT)
            announcement = Announcement.model_validate_json(body)
        except ValidationError as error:
            raise invalid_request(error) from None
        if announcement.api_key and not self._token:
            raise InvalidRequest(
                "A controller without FASTCHAT_CONTROLLER_TOKEN does not hand out API keys; set the variable "
                "for the controller, its workers and its callers.",
                param="api_key",
            )
        version = self._registry.version
        lease = self._registry.announce(worker_id, announcement)
        if self._registry.version != version:
            names = ",".join(model.name for model in announcement.models)
            log.info("worker %s", announcement.url, extra={"worker": worker_id, "models": names})
        self._tell_if_changed_since(version)
        return Response(lease.model_dump_json(), media_type="application/json")

    async def sign_off(self, request: Request) -> Response:
        self._check(request)
        version = self._registry.version
        self._registry.sign_off(request.path_params["worker_id"])
        self._tell_if_changed_since(version)
        return Response(status_code=204)

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "workers": len(self._registry.snapshot().workers)})

    def _check(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if self._token and not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise AuthenticationFailed("This controller wants the token that FASTCHAT_CONTROLLER_TOKEN was set to.")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InvalidRequest(f"wait_s must be a number of seconds, not {text[:40]!r}.", param="wait_s")
    return min(max(seconds, 0.0), LONGEST_WAIT_S)
