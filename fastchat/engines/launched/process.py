"""The life of a launched server: start, wait until it is well, announce, watch, drain, stop.

Callers talk to the server itself; no request passes through here.
"""

import asyncio
import logging
import shlex
import signal
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from fastchat.client.registration import Registration
from fastchat.core.errors import FastChatError, SetupError
from fastchat.core.processes import record_of_process
from fastchat.engines.launched.child import ServerChild
from fastchat.engines.launched.table import ServerKind
from fastchat.engines.launched.upstream import State, Upstream, served_models
from fastchat.protocol.control import Announcement, Load, ServedModel

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
START_LOOK_S = 0.25
DRAIN_LOOK_S = 0.25
STOP_GRACE_S = 20.0  # for its own ending, once it has nothing left to answer
_USAGE_CODE = 2  # what argparse ends with: the flags are wrong, and trying again would not help


@dataclass(frozen=True, slots=True)
class Service:
    """What is told about the server, and how patient we are with it."""

    name: str  # of the kind
    kind: ServerKind
    url: str  # where this machine reaches it
    address: str  # where callers reach it
    model_names: tuple[str, ...]
    capacity: int
    context_length: int | None = None  # what was asked for, should it not say
    api_key: str | None = None
    start_timeout_s: float = 3600.0
    give_up_s: float = 120.0  # without a sign of health
    drain_s: float = 30.0


class LaunchedProcess:
    def __init__(self, service: Service, child: ServerChild) -> None:
        self._service = service
        self._child = child
        self._models: tuple[ServedModel, ...] = ()
        self._state = State(is_healthy=False, load=None)
        self._is_draining = False
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, controller_url: str | None, token: str | None) -> None:
        """Until a signal comes.

        Raises:
            SetupError: the server refused its flags, or did not get ready in time.
            FastChatError: it ended by itself, or no longer answers; whoever supervises us should start another.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._ask_to_stop)
        async with aiohttp.ClientSession() as session:
            service = self._service
            upstream = Upstream(session, service.url, service.kind, service.api_key)
            secret = service.api_key
            log.info(
                "starting %s", shlex.join(word.replace(secret, "…") if secret else word for word in self._child.argv)
            )
            await self._child.start()
            try:
                if not await self._get_ready(upstream):
                    return
                registration = None
                if controller_url:
                    registration = Registration(session, controller_url, self.describe, token)
                with record_of_process("model_worker", service.url):
                    await self._serve(upstream, registration)
            finally:
                await self._child.close()

    def describe(self) -> Announcement:
        return Announcement(
            url=self._service.address,
            models=self._models,
            capacity=self._service.capacity,
            load=self._state.load or Load(),
            is_draining=self._is_draining or not self._state.is_healthy,  # unwell: nothing new, what runs may finish
            api_key=self._service.api_key,
        )

    def _ask_to_stop(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _get_ready(self, upstream: Upstream) -> bool:
        """False if we were asked to stop meanwhile."""
        loop, service = asyncio.get_running_loop(), self._service
        deadline = loop.time() + service.start_timeout_s
        while not self._state.is_healthy:
            if self._child.exited.done():
                raise await self._death("ended before it was ready")
            if loop.time() > deadline:
                raise SetupError(
                    f"{service.kind.title} was not ready after {service.start_timeout_s:g} s; --start-timeout gives it "
                    f"longer. It said last:\n{self._child.last_words}"
                )
            if await self._first(START_LOOK_S, self._stop.wait()):
                await self._child.stop(STOP_GRACE_S, self._hurry)
                return False
            self._state = await upstream.state()
        like = ServedModel(
            name=service.name,
            context_length=service.context_length,
            features=service.kind.features_with(self._child.argv),
            engine=service.name,
        )
        cards = await upstream.cards()
        self._models = served_models(service.model_names, cards, upstream=service.kind.upstream, like=like)
        log.info("Uvicorn running on %s (press CTRL+C to quit)", service.url)
        return True

    async def _serve(self, upstream: Upstream, registration: Registration | None) -> None:
        announcing = asyncio.create_task(registration.run()) if registration else None
        try:
            await self._watch(upstream)
            self._is_draining = True
        finally:
            if registration and announcing:
                registration.leave()
                await announcing
        if self._service.kind.running:
            await self._drain(upstream)
            await self._child.stop(STOP_GRACE_S, self._hurry)
        else:  # only it knows what it is doing
            await self._child.stop(self._service.drain_s, self._hurry)

    async def _watch(self, upstream: Upstream) -> None:
        """Until we are asked to stop; raises when the server is gone."""
        loop = asyncio.get_running_loop()
        last_well = loop.time()
        while not await self._first(LOOK_EVERY_S, self._stop.wait()):
            if self._child.exited.done():
                raise await self._death("ended")
            was_well, self._state = self._state.is_healthy, await upstream.state()
            if self._state.is_healthy:
                last_well = loop.time()
            elif loop.time() - last_well > self._service.give_up_s:
                raise FastChatError(f"{self._service.kind.title} has not been well for {self._service.give_up_s:g} s.")
            if was_well != self._state.is_healthy:
                log.warning("%s is %s", self._service.kind.title, "well again" if not was_well else "not well")

    async def _drain(self, upstream: Upstream) -> None:
        """Wait until it has finished what it was asked. Nobody asks it anything new by now."""
        deadline = asyncio.get_running_loop().time() + self._service.drain_s
        idle = 0
        # Twice in a row: a request that has only just arrived is not counted yet.
        while idle < 2 and asyncio.get_running_loop().time() < deadline:
            if await self._first(DRAIN_LOOK_S, self._hurry.wait()) or self._child.exited.done():
                return
            load = (await upstream.state()).load
            is_idle = load is not None and not load.running and not load.waiting
            idle = idle + 1 if is_idle else 0

    async def _death(self, how: str) -> FastChatError:
        await self._child.close()  # so that all it said has been read
        code = self._child.exited.result()
        kind = SetupError if code == _USAGE_CODE and not self._models else FastChatError
        return kind(f"{self._service.kind.title} {how}, {_ending(code)}. It said last:\n{self._child.last_words}")

    async def _first(self, timeout_s: float, event: Awaitable[object]) -> bool:
        """Wait for the event, the end of the child or the time to be over; True if it was the event."""
        waiting = asyncio.ensure_future(event)
        try:
            await asyncio.wait([waiting, self._child.exited], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            return waiting.done()
        finally:
            waiting.cancel()


def _ending(code: int) -> str:
    """The guardian ends with 128 and the number of the signal that ended the server."""
    with suppress(ValueError):
        return f"by {signal.Signals(-code if code < 0 else code - 128).name}"
    return f"with exit code {code}"
