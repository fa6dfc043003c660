"""One request to one of several endpoints, as bytes: try, try another, then pipe.

Another endpoint is tried only while nothing has reached the caller: a refused or broken connection, a 502, 503 or 504,
a full queue. A streamed answer counts as begun with its first bytes, any other with its last. Nothing is parsed on the
way; of a stream only whole events are passed on, so that an error event can always follow.
"""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet, Slot
from fastchat.client.http1 import Http1Client
from fastchat.client.providers.registry import Providers
from fastchat.client.transport import BYTES, BytePipe, Reply, Transport
from fastchat.core.errors import FastChatError, NoWorker, WorkerFailed, WorkerTimeout

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
LONGEST_EVENT = 2**22  # beyond it a stream is passed on as it comes
BUSY = 429
BROKEN = frozenset({502, 503, 504})
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
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
    stream: Reply | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The stream in whole events.

        Raises:
            WorkerFailed, WorkerTimeout: it broke off.
        """
        assert self.stream is not None
        rest = self.body
        while True:
            whole = _whole_events(rest)
            if whole:
                yield rest[:whole]
                rest = rest[whole:]
            more = await self.stream.read_some()
            if not more:
                break
            rest += more
        if rest:
            yield rest


def _whole_events(data: bytes) -> int:
    """How many bytes of it are whole events. Most chunks are one event and nothing else."""
    if data.endswith(_EVENT_ENDS):
        return len(data)
    if len(data) > LONGEST_EVENT:
        return len(data)
    return max(at + len(end) if (at := data.rfind(end)) >= 0 else 0 for end in _EVENT_ENDS)


class _Unanswered(Exception):
    """This endpoint did not answer; another may. `answer` or `error` is what the caller gets if none does."""

    def __init__(self, error: FastChatError | None = None, answer: Answer | None = None) -> None:
        super().__init__()
        self.error = error
        self.answer = answer


class Pipe:
    """Sends calls to the endpoints of a fleet."""

    def __init__(self, fleet: Fleet, client: Http1Client) -> None:
        self._fleet = fleet
        self._bytes = BytePipe(client)
        self._providers = Providers(connect_s=client.connect_s, idle_s=client.idle_s)

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
                    reply = await self._begin(slot, call)
                    try:
                        yield await self._first_bytes(slot, reply, len(tried))
                        return
                    except (WorkerFailed, WorkerTimeout):
                        slot.failed()
                        raise
                    finally:
                        await self._transport(slot.endpoint).release(slot.endpoint, reply)
                except _Unanswered as failure:
                    # A full queue tells the caller more than a broken connection does.
                    last = failure if last is None or last.answer is None else last
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
            return None

    def _transport(self, endpoint: Endpoint) -> Transport:
        return self._bytes if endpoint.api_type == BYTES else self._providers

    async def close(self) -> None:
        """Close every connection that is kept."""
        await self._bytes.close()
        await self._providers.close()

    async def _begin(self, slot: Slot, call: Call) -> Reply:
        endpoint = slot.endpoint
        try:
            return await self._transport(endpoint).post(endpoint, call.path, call.headers, call.body_for(slot))
        except WorkerTimeout:
            slot.failed()
            raise  # it had its time; the same request would take as long elsewhere
        except (WorkerFailed, NoWorker) as error:
            slot.failed()
            raise _Unanswered(error) from error

    async def _first_bytes(self, slot: Slot, reply: Reply, attempts: int) -> Answer:
        headers = {name: reply.headers[name] for name in KEPT_HEADERS if name in reply.headers}
        is_stream = reply.status == 200 and headers.get("content-type", "").startswith("text/event-stream")
        try:
            body = await (reply.read_some() if is_stream else reply.read())
        except WorkerFailed as error:
            slot.failed()
            raise _Unanswered(error) from error
        answer = Answer(
            status=reply.status,
            headers=headers,
            body=body,
            endpoint_id=slot.endpoint.endpoint_id,
            attempts=attempts,
            stream=reply if is_stream else None,
        )
        if answer.status in BROKEN:
            slot.failed()
        else:
            slot.succeeded()
        if answer.status in BROKEN or answer.status == BUSY:
            raise _Unanswered(answer=answer)
        return answer
