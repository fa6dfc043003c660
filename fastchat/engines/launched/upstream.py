"""What a running server says of itself: whether it is well, which models it has, how busy it is."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import aiohttp
from pydantic import BaseModel, ValidationError

from fastchat.engines.launched.table import ServerKind
from fastchat.protocol.control import Load, ServedModel

_SHORT = aiohttp.ClientTimeout(total=10)


class Card(BaseModel):
    """One line of /v1/models; vLLM and SGLang say more than OpenAI."""

    id: str
    max_model_len: int | None = None
    parent: str | None = None  # the model that this is an adapter of


class _Cards(BaseModel):
    data: list[Card]


class State(NamedTuple):
    is_healthy: bool
    load: Load | None  # None: it does not say


class Upstream:
    def __init__(self, session: aiohttp.ClientSession, url: str, kind: ServerKind, api_key: str | None) -> None:
        self.url = url
        self._session = session
        self._kind = kind
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}

    async def state(self) -> State:
        is_healthy = await self._get(self._kind.health) is not None
        if not is_healthy or not self._kind.running:
            return State(is_healthy, None)
        metrics = await self._get("/metrics")
        return State(is_healthy, None if metrics is None else load_in(metrics, self._kind))

    async def cards(self) -> list[Card]:
        """Empty if it does not say."""
        try:
            return _Cards.model_validate_json(await self._get("/v1/models") or "").data
        except ValidationError:
            return []

    async def _get(self, path: str) -> str | None:
        """None unless it answers with 200."""
        try:
            async with self._session.get(self.url + path, headers=self._headers, timeout=_SHORT) as reply:
                return await reply.text() if reply.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
            return None


def load_in(metrics: str, kind: ServerKind) -> Load | None:
    """From Prometheus text; gauges that come once for each engine are added up."""
    running, waiting = (_sum(metrics, name) for name in (kind.running, kind.waiting))
    return None if running is None else Load(running=round(running), waiting=round(waiting or 0))


def _sum(metrics: str, name: str | None) -> float | None:
    if name is None:
        return None
    values = re.findall(rf"^{re.escape(name)}(?:\{{.*\}})? +(\S+)", metrics, re.MULTILINE)
    return sum(map(float, values)) if values else None


def served_models(
    names: Sequence[str], cards: Sequence[Card], *, upstream: str | None, like: ServedModel
) -> tuple[ServedModel, ...]:
    """What is announced: our names, and the adapters the server lists. All are `like` one, as far as it does not say.

    `upstream` is what requests must call a model that it does not list by our name; None: what it lists first.
    """
    listed = {card.id: card for card in cards}
    own = upstream or next((card.id for card in cards if card.parent is None), None)
    described = []
    for name in (*names, *(card.id for card in cards if card.parent and card.id not in names)):
        card = listed.get(name) or listed.get(own or "")
        stands_for = {} if name in listed else {"upstream_name": own}
        length = {"context_length": card.max_model_len} if card and card.max_model_len else {}
        described.append(like.model_copy(update={"name": name, **stands_for, **length}))
    return tuple(described)
