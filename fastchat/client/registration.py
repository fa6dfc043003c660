"""Announcing an endpoint to a controller (`protocol/control.py`): keep alive, sign off."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp

from fastchat.core.errors import SetupError
from fastchat.protocol.control import Announcement, Lease, new_worker_id

log = logging.getLogger(__name__)

RETRY_S = 0.5
_SHORT = aiohttp.ClientTimeout(total=5)


class Registration:
    """Announces one endpoint for as long as it runs, whether the controller is there yet, away or back again.

    `describe` gives the announcement of the moment, with the load.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        controller_url: str,
        describe: Callable[[], Announcement],
        token: str | None = None,
    ) -> None:
        self.worker_id = new_worker_id()
        self.is_known = False  # the controller took the last announcement
        self._session = session
        self._url = f"{controller_url.rstrip('/')}/workers/{self.worker_id}"
        self._describe = describe
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._has_complained = False
        self._has_left = asyncio.Event()

    async def run(self) -> None:
        """Announce until `leave` is called, then sign off."""
        while not self._has_left.is_set():
            pause_s = await self._announce()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_left.wait(), pause_s)
        await self._sign_off()

    def leave(self) -> None:
        """Let `run` sign off and end, after the announcement that may be on its way."""
        self._has_left.set()

    async def _sign_off(self) -> None:
        """A controller that is away will notice by itself."""
        self.is_known = False
        try:
            async with self._session.delete(self._url, headers=self._headers, timeout=_SHORT):
                log.info("signed off")
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("could not sign off: %s", type(error).__name__)

    async def _announce(self) -> float:
        """Returns the seconds until the next one is due."""
        body = self._describe().model_dump_json()
        headers = {**self._headers, "content-type": "application/json"}
        try:
            async with self._session.put(self._url, data=body, headers=headers, timeout=_SHORT) as response:
                text = await response.text()
                if response.status != 200:
                    return self._failed(f"status {response.status}: {text[:300]}")
                pause_s = Lease.model_validate_json(text).announce_every_s
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return self._failed(f"{type(error).__name__}: {error}")
        if not self.is_known:
            log.info("registered at %s", self._url)
        self.is_known, self._has_complained = True, False
        return pause_s

    def _failed(self, problem: str) -> float:
        if not self._has_complained:
            log.warning("controller %s: %s; trying until it answers", self._url, problem)
        self.is_known, self._has_complained = False, True
        return RETRY_S


def own_address(controller_url: str) -> str:
    """The address of the network interface of this machine that leads to the controller."""
    url = urlsplit(controller_url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((url.hostname or "localhost", url.port or 80))  # sends nothing
        except OSError as error:
            raise SetupError(
                f"No network interface leads to the controller {controller_url} yet ({error.strerror}), so the address "
                "of this worker is not known. Give it with --worker-address."
            ) from None
        address: str = probe.getsockname()[0]
    return address
