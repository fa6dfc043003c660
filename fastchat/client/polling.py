"""Keeps a Fleet true to the models of one OpenAI-compatible server, which announces itself to no controller.

It is asked every two seconds. While it cannot be reached, or refuses, what it said last stays in force.
"""

import asyncio
import json
import logging

import aiohttp

from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.protocol.control import ServedModel

log = logging.getLogger(__name__)

POLLED = "OpenAI server"  # the source of such models in a Fleet
EVERY_S = 2.0
CAPACITY = 64  # requests we send it at once without thinking it busy; it does not tell
_TIMEOUT = aiohttp.ClientTimeout(total=5)
_MOST_BYTES = 4 * 2**20


class Polling:
    """Follows one server. `url` is without `/v1`."""

    def __init__(
        self,
        fleet: Fleet,
        session: aiohttp.ClientSession,
        url: str,
        api_key: str | None = None,
        *,
        every_s: float = EVERY_S,
    ) -> None:
        self._fleet = fleet
        self._session = session
        self._url = url.rstrip("/").removesuffix("/v1")
        self._api_key = api_key
        self._every_s = every_s
        self._complaint = ""

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Ask once."""
        try:
            names = await self._ask()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._complain(str(error) or type(error).__name__)
            return
        if self._complaint:
            log.info("%s/v1/models answers again", self._url)
            self._complaint = ""
        self._fleet.update(self._endpoints(names), source=POLLED)

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            log.warning("%s/v1/models: %s; going on with what is known", self._url, complaint)
            self._complaint = complaint

    async def _ask(self) -> list[str]:
        headers = {"authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        async with self._session.get(f"{self._url}/v1/models", headers=headers, timeout=_TIMEOUT) as reply:
            body = await reply.content.read(_MOST_BYTES)
            if reply.status == 503:
                return []  # a gateway of ours that knows no model yet
            if reply.status != 200:
                raise ValueError(f"status {reply.status}: {body[:200].decode('utf-8', 'replace')}")
        return _names(body)

    def _endpoints(self, names: list[str]) -> list[Endpoint]:
        if not names:
            return []
        models = {name: ServedModel(name=name) for name in names}
        return [Endpoint(POLLED, self._url, models, capacity=CAPACITY, api_key=self._api_key)]


def _names(body: bytes) -> list[str]:
    """
    Raises:
        ValueError: this is no list of models.
    """
    try:
        listed = json.loads(body)["data"]
        return [str(model["id"]) for model in listed]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"this is no list of models: {body[:100].decode('utf-8', 'replace')!r}") from None
