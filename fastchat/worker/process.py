"""The life of a worker process: load, serve, announce, watch the engines, drain."""

import asyncio
import logging
import signal
from collections.abc import Sequence

import aiohttp

from fastchat.access.keys import KeyRing
from fastchat.client.images import ImageLoader
from fastchat.client.registration import Registration
from fastchat.core.errors import FastChatError
from fastchat.core.serving import Listener, serve
from fastchat.engines.base import Engine
from fastchat.protocol.control import Announcement, Load
from fastchat.worker.app import WorkerApp
from fastchat.worker.models import HostedModels

log = logging.getLogger(__name__)

HEALTH_EVERY_S = 2.0


class WorkerProcess:
    """Loaded engines on an address. `api_key`, if there is one, is what callers must show."""

    def __init__(
        self,
        models: HostedModels,
        listener: Listener,
        address: str,
        api_key: str | None,
        images: ImageLoader | None = None,
    ) -> None:
        self._models = models
        self._images = images
        self._listener = listener
        self._address = address
        self._api_key = api_key
        self._failed: Engine | None = None

    async def run(self, *, controller_url: str | None, token: str | None, body_limit: int, drain_s: float) -> None:
        """Serve until a signal comes.

        Raises:
            FastChatError: an engine can no longer answer; whoever supervises this process should start another.
        """
        ring = KeyRing.load([self._api_key] if self._api_key else [])
        app = WorkerApp(self._models, ring, body_limit=body_limit, images=self._images)
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as background:
            registration = None
            if controller_url:
                registration = Registration(session, controller_url, self.describe, token)
            serving = background.create_task(
                serve(
                    app.asgi(),
                    self._listener,
                    role="model_worker",
                    drain_s=drain_s,
                    on_drain=lambda: self._drain(registration),
                    on_ready=lambda: self._announce(background, registration),
                )
            )
            watch = background.create_task(self._watch_engines())
            await asyncio.wait([serving])
            watch.cancel()
            if registration is not None:
                registration.leave()
        if self._failed is not None:
            raise FastChatError(f"The engine {self._failed.info.engine!r} stopped working.")

    def describe(self) -> Announcement:
        admissions = self._models.admissions
        return Announcement(
            url=self._address,
            models=self._models.served(),
            capacity=sum(admission.slots for admission in admissions),
            load=Load(
                running=sum(admission.running for admission in admissions),
                waiting=sum(admission.waiting for admission in admissions),
            ),
            is_draining=any(admission.is_draining for admission in admissions),
            api_key=self._api_key,
        )

    def _announce(self, background: asyncio.TaskGroup, registration: Registration | None) -> None:
        if registration is not None:
            background.create_task(registration.run())

    def _drain(self, registration: Registration | None) -> None:
        log.info("draining: %d requests to finish", self.describe().load.running)
        for admission in self._models.admissions:
            admission.is_draining = True
        if registration is not None:
            registration.leave()

    async def _watch_engines(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_EVERY_S)
            for engine in self._models.engines:
                if not await engine.is_healthy():
                    log.error("engine %s no longer answers; ending this process", engine.info.engine)
                    self._failed = engine
                    signal.raise_signal(signal.SIGTERM)  # sign off, finish and end, as for anybody who asks
                    return


def close_all(engines: Sequence[Engine]) -> asyncio.Future[list[None]]:
    return asyncio.gather(*(engine.close() for engine in engines))
