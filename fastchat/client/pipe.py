"""One request to one of several endpoints, as bytes: try, try another, then pipe.

Another endpoint is tried only while nothing has reached the caller: a refused or broken connection, a 502, 503 or 504,
a full queue. A streamed answer counts as begun with its first bytes, any other with its last. Nothing is parsed on the
way; of a stream only whole events are passed on, so that an error event can always follow.
"""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import aiohttp
from yarl import URL

from fastchat.client.fleet import Fleet, Slot
from fastchat.core.errors import FastChatError, NoWorker, WorkerFailed, WorkerTimeout

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
LARGE_BODY = 2**19
BUSY = 429
BROKEN = frozenset({502, 503, 504})
KEPT_HEADERS = ("content-type", "retry-after", "cache-control", "x-should-retry")


@dataclass(frozen=True, slots=True)
class Call:
    """What to send: `body` as the caller wrote it, `fields` as it was read, for endpoints that rename the model."""

    path: str
    model: str
    body: bytes
    fields: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)
    affinity: bytes | None = None

    def body_for(self, slot: Slot) -> bytes:
        upstream_name = slot.endpoint.models[self.model].upstream_name
        if upstream_name is None or upstream_name == self.model:
            return self.body
        return json.dumps({**self.fields, "model": upstream_name}).encode()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has begun. `body` is whole, or the beginning of a stream that `chunks` continues."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    endpoint_id: str
    attempts: int
    stream: aiohttp.StreamReader | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The stream in whole events.

        Raises:
            WorkerFailed, WorkerTimeout: it broke off.
        """
        assert self.stream is not None
        rest = self.body
        with _our_errors():
            while True:
                whole = len(rest) if rest.endswith(b"\n\n") else rest.rfind(b"\n\n") + 2
                if whole > 1:
                    yield rest[:whole]
                    rest = rest[whole:]
                more = await self.stream.readany()
                if not more:
                    break
                rest += more
        if rest:
            yield rest


class _Unanswered(Exception):
    """This endpoint did not answer; another may. `answer` or `error` is what the caller gets if none does."""

    def __init__(
        self, error: FastChatError | None = None, answer: Answer | None = None, *, is_stale: bool = False
    ) -> None:
        super().__init__()
        self.error = error
        self.answer = answer
        self.is_stale = is_stale  # perhaps only a kept connection that the other side had closed


class Pipe:
    """Sends calls to the endpoints of a fleet."""

    def __init__(
        self, fleet: Fleet, session: aiohttp.ClientSession, *, connect_s: float = 5.0, idle_s: float = 600.0
    ) -> None:
        self._fleet = fleet
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=idle_s)

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Answer]:
        """The answer to a call, begun. Leaving the block closes the connection, which stops the work behind it.

        Raises:
            UnknownModel, NoWorker: as `Fleet.pick`.
            WorkerFailed, WorkerTimeout: nobody answered.
        """
        tried: list[str] = []
        last: _Unanswered | None = None
        while True:
            slot = self._pick(call, tried, last)
            if slot is None:
                assert last is not None
                if last.answer is None:
                    raise last.error or WorkerFailed("No worker answered.")
                yield last.answer
                return
            tried.append(slot.endpoint.endpoint_id)
            with slot:
                try:
                    response = await self._begin(slot, call)
                    try:
                        yield await self._first_bytes(slot, response, len(tried))
                        return
                    except (WorkerFailed, WorkerTimeout):
                        slot.outcome = "failed"
                        raise
                    finally:
                        # Keeps the connection if the answer was read to its end, and breaks it otherwise.
                        response.release()
                except _Unanswered as failure:
                    last = failure
                    reason = failure.error or f"status {failure.answer.status if failure.answer else '?'}"
                    log.warning("endpoint %s did not answer: %s", slot.endpoint.url, reason)

    def _pick(self, call: Call, tried: list[str], last: _Unanswered | None) -> Slot | None:
        if len(tried) >= MAX_ATTEMPTS:
            return None
        try:
            return self._fleet.pick(call.model, affinity=call.affinity, avoid=tried)
        except NoWorker:
            if last is None:
                raise
            if last.is_stale and len(tried) == 1:
                return self._fleet.pick(call.model)
            return None

    async def _begin(self, slot: Slot, call: Call) -> aiohttp.ClientResponse:
        headers = dict(call.headers)
        if slot.endpoint.api_key:
            headers["authorization"] = f"Bearer {slot.endpoint.api_key}"
        url = _url(slot.endpoint.url, call.path)
        with _attempt(slot):
            body = call.body_for(slot)
            # aiohttp writes bytes in one go and a file in pieces, which lets others run in between.
            data = io.BytesIO(body) if len(body) > LARGE_BODY else body
            return await self._session.post(url, data=data, headers=headers, timeout=self._timeout)

    async def _first_bytes(self, slot: Slot, response: aiohttp.ClientResponse, attempts: int) -> Answer:
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        is_stream = response.status == 200 and response.content_type == "text/event-stream"
        with _attempt(slot):
            body = await (response.content.readany() if is_stream else response.read())
        answer = Answer(
            status=response.status,
            headers=headers,
            body=body,
            endpoint_id=slot.endpoint.endpoint_id,
            attempts=attempts,
            stream=response.content if is_stream else None,
        )
        slot.outcome = "failed" if response.status in BROKEN else "ok"
        if response.status in BROKEN or response.status == BUSY:
            raise _Unanswered(answer=answer)
        return answer


@lru_cache(maxsize=4096)
def _url(base: str, path: str) -> URL:
    return URL(base + path)


@contextmanager
def _attempt(slot: Slot) -> Iterator[None]:
    """A failure in here is the endpoint's, and may be another's chance."""
    try:
        with _our_errors():
            yield
    except WorkerTimeout:
        slot.outcome = "failed"
        raise  # it had its time; the same request would take as long elsewhere
    except WorkerFailed as error:
        slot.outcome = "failed"
        is_stale = isinstance(error.__cause__, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        raise _Unanswered(error, is_stale=is_stale) from error


@contextmanager
def _our_errors() -> Iterator[None]:
    """aiohttp's errors as ours; a test fails if it grows one that is not mapped."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise WorkerFailed("The worker does not accept connections.") from error
    except TimeoutError as error:
        raise WorkerTimeout("The worker fell silent; no byte came for the longest time allowed.") from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise WorkerFailed("The worker broke the connection.") from error
