"""Keeps a Fleet true to a controller's snapshots, in the background; no request ever waits for the controller."""

import asyncio
import logging

import aiohttp
from pydantic import ValidationError

from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import CONTROLLER, Fleet
from fastchat.protocol.control import Snapshot

log = logging.getLogger(__name__)

WAIT_S = 1.5  # also how often loads are refreshed while nothing else changes
RETRY_S = 0.5


class Discovery:
    """Follows one controller. While it cannot be reached, or has just restarted, the last snapshot stays in force."""

    def __init__(
        self, fleet: Fleet, session: aiohttp.ClientSession, controller_url: str, token: str | None = None
    ) -> None:
        self._fleet = fleet
        self._session = session
        self._url = f"{controller_url.rstrip('/')}/workers"
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._version = ""
        self.is_connected = False

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                self.apply(await self.fetch())
            except (aiohttp.ClientError, TimeoutError, ValidationError) as error:
                if self.is_connected or not self._version:
                    log.warning(
                        "controller %s: %s; going on with what is known", self._url, str(error) or type(error).__name__
                    )
                self.is_connected, self._version = False, self._version or "none"
                await asyncio.sleep(RETRY_S)

    async def fetch(self) -> Snapshot:
        after = self._version if self.is_connected else ""
        async with self._session.get(
            self._url,
            params={"after": after, "wait_s": str(WAIT_S)},
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=WAIT_S + 5),
        ) as response:
            response.raise_for_status()
            return Snapshot.model_validate_json(await response.read())

    def apply(self, snapshot: Snapshot) -> None:
        """Take over a snapshot. One that is not settled may add endpoints, but nobody is taken for dead on its word."""
        if not self.is_connected:
            log.info("following controller %s", self._url)
        self.is_connected, self._version = True, snapshot.version
        self._fleet.policy = snapshot.policy
        endpoints = {entry.worker_id: Endpoint.from_entry(entry) for entry in snapshot.workers}
        if not snapshot.is_settled:
            kept = {endpoint.endpoint_id: endpoint for endpoint in self._fleet.told_by(CONTROLLER)}
            endpoints = kept | endpoints
        self._fleet.update(endpoints.values(), snapshot.departed_models, is_complete=snapshot.is_settled)
