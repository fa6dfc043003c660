"""How a call gets to an endpoint: as the same bytes where OpenAI's API is spoken, else through a translator.

Whatever the way, what comes back is a `Reply` of OpenAI's bytes, so retries, breaker, metrics and cancellation need not
know which it was.
"""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from fastchat import __version__
from fastchat.client.endpoints import Endpoint
from fastchat.client.http1 import Connection, Http1Client
from fastchat.core.errors import EndpointRefused

BYTES = "openai"  # the API type that needs no translation
_REFUSED_OUR_KEY = frozenset({401, 402, 403})


class Reply(Protocol):
    """An answer that has begun: status and headers are there, the body comes."""

    status: int
    headers: dict[str, str]

    async def read_some(self) -> bytes:
        """What has come of the body since; b"" at its end.

        Raises:
            WorkerFailed, WorkerTimeout: it broke off.
        """
        ...

    async def read(self) -> bytes:
        """The rest of the body."""
        ...


class Transport(Protocol):
    async def post(self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a request; returns when the answer has begun. To be given to `release` in the end.

        Raises:
            NoWorker, WorkerFailed, WorkerTimeout: there is no answer.
        """
        ...

    async def release(self, endpoint: Endpoint, reply: Reply) -> None:
        """Nobody reads on. What still works on the answer is stopped."""
        ...

    async def close(self) -> None: ...


class BytePipe:
    """The request as it came, with the endpoint's key and under the endpoint's path."""

    def __init__(self, client: Http1Client) -> None:
        self._client = client

    async def post(self, endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes) -> Connection:
        if endpoint.api_path != "/v1" and path.startswith("/v1/"):
            path = endpoint.api_path + path.removeprefix("/v1")
        if not endpoint.api_key:
            return await self._client.post(endpoint.url, path, _named(endpoint, headers), body)
        headers = {**_named(endpoint, headers), "authorization": f"Bearer {endpoint.api_key}"}
        connection = await self._client.post(endpoint.url, path, headers, body)
        if connection.status in _REFUSED_OUR_KEY:
            # The key is ours and not the caller's: passed on, this would tell callers to mend theirs.
            status = connection.status
            await self.release(endpoint, connection)
            raise refused_our_key(urlsplit(endpoint.url).hostname or endpoint.url, status)
        return connection

    async def release(self, endpoint: Endpoint, reply: Reply) -> None:
        assert isinstance(reply, Connection)
        self._client.release(endpoint.url, reply)

    async def close(self) -> None:
        self._client.close()


def _named(endpoint: Endpoint, headers: Mapping[str, str]) -> Mapping[str, str]:
    """Firewalls in front of public services turn away who does not say what he is."""
    return {**headers, "user-agent": f"fastchat/{__version__}"} if endpoint.is_public else headers


def refused_our_key(provider: str, status: int) -> EndpointRefused:
    """What it said is left out: providers repeat parts of the key."""
    return EndpointRefused(
        f"{provider} refused the key that this server has for it (status {status}). "
        "Whoever runs this server has to mend the key, or the account behind it."
    )
