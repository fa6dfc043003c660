"""The load generator, a process of its own: `Plan` in, `Outcome` out.

Raw connections rather than an HTTP library, so that it costs a fraction of what it measures. It reads only what is
counted: where an answer ends, how many tokens came and when. It reads the servers' CPU clocks itself, at the very
beginning and end of the measured time.
"""

import asyncio
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import cycle, islice
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from benchmarks.clocks import cpu_s
from benchmarks.servers import ROOT

# A chunk of every server we measure spells a token so; an empty text (the chunk with the role) does not count.
_TOKEN = re.compile(rb'"content": ?"[^"]')
_COUNTED = re.compile(rb'"completion_tokens": ?(\d+)')
_END_OF_CHUNKS = b"\r\n0\r\n\r\n"


@dataclass(frozen=True)
class Plan:
    """Connections that each ask, read the answer and ask again."""

    url: str
    bodies: Sequence[Mapping[str, Any]]  # connection N starts with the Nth and goes round
    connections: int
    requests_each: int | None = None  # None: until `window_s` is over
    window_s: float = 1.0
    ramp_s: float = 0.2  # connections begin spread over it
    begin_within_s: float = 20.0  # how much longer the window waits until every connection has got a token
    settle_s: float = 0.2  # and then until it opens
    token_ms: float | None = None  # the pace of the streams, to tell how late a token comes
    pids: Mapping[str, Sequence[int]] = field(default_factory=dict)  # whose CPU time is wanted


@dataclass(frozen=True)
class Quantiles:
    """Milliseconds."""

    count: int
    p50: float
    p99: float

    @classmethod
    def of_seconds(cls, values: Sequence[float]) -> "Quantiles":
        if not values:
            return cls(0, math.nan, math.nan)
        ordered = sorted(values)
        return cls(len(ordered), ordered[len(ordered) // 2] * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3)


@dataclass(frozen=True)
class Outcome:
    """What happened within the window; with `requests_each` that is the whole run."""

    wall_s: float
    requests: int
    failures: int  # answers with another status than 200, and broken connections
    first_failure: str
    tokens: int  # chunks with text
    counted_tokens: int  # as the answers' `usage` says
    latency: Quantiles  # whole answers
    first_token: Quantiles  # from the request to the first chunk with text
    lag: Quantiles  # how much later tokens came than if nothing but their pace took time
    cpu_s: Mapping[str, float]
    own_cpu_s: float


class LoadFailed(RuntimeError):
    """The servers did not answer as they should, so there is nothing to measure."""


def run_load(plan: Plan) -> Outcome:
    """Run a plan in a process of its own.

    Raises:
        LoadFailed: requests failed, or none was answered.
    """
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(command, input=json.dumps(asdict(plan)), stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode:
        raise LoadFailed(f"the load generator failed at {plan.url}")
    fields = json.loads(done.stdout)
    fields |= {name: Quantiles(**fields[name]) for name in ("latency", "first_token", "lag")}
    outcome = Outcome(**fields)
    if outcome.failures or not (outcome.requests or outcome.tokens):
        raise LoadFailed(f"{outcome.failures} failed, {outcome.requests} answered: {outcome.first_failure}")
    return outcome


class Tally:
    """What is counted while the window is open."""

    def __init__(self) -> None:
        self.is_open = False
        self.requests = self.failures = self.tokens = self.counted_tokens = 0
        self.first_failure = ""
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.lags: list[float] = []

    def fail(self, reason: str) -> None:
        self.failures += 1
        self.first_failure = self.first_failure or reason

    def outcome(self, *, wall_s: float, own_cpu_s: float, cpu_s: Mapping[str, float]) -> Outcome:
        return Outcome(
            wall_s=wall_s,
            requests=self.requests,
            failures=self.failures,
            first_failure=self.first_failure,
            tokens=self.tokens,
            counted_tokens=self.counted_tokens,
            latency=Quantiles.of_seconds(self.latencies),
            first_token=Quantiles.of_seconds(self.firsts),
            lag=Quantiles.of_seconds(self.lags),
            cpu_s=cpu_s,
            own_cpu_s=own_cpu_s,
        )


class Connection(asyncio.Protocol):
    """One kept connection with one request at a time."""

    def __init__(self, tally: Tally, requests: Iterator[bytes], pace_s: float | None) -> None:
        self.begun = asyncio.Event()  # a token has come
        self.ended = asyncio.Event()
        self._tally = tally
        self._requests = requests
        self._pace_s = pace_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's, which does not inherit from it
        self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.is_set():
            self._tally.fail("the connection broke")
            self.ended.set()

    def leave(self) -> None:
        self.ended.set()
        self._transport.abort()

    def _ask(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.leave()
            return
        self._missing: int | None = None  # bytes of a body whose length is known
        self._in_body = False
        self._rest = b""
        self._seen = 0
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        data = self._rest + data
        if not self._in_body:
            head, found, body = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = data
                return
            self._read_head(head)
            data = b"\r\n" + body  # so that the end looks the same when it stands alone
        if self._missing is not None and len(data) - 2 < self._missing:
            self._rest = data
            return
        if self._missing is not None or data.endswith(_END_OF_CHUNKS):
            self._count(now, data)
            self._end(now)
            return
        whole = data.rfind(b"\n\n") + 2  # an event may come in pieces
        if whole > 1:
            self._count(now, data[:whole])
            data = data[whole:]
        self._rest = data

    def _read_head(self, head: bytes) -> None:
        self._in_body = True
        head = head.lower()
        if b" 200 " not in head[:16]:
            self._tally.fail(head.partition(b"\r\n")[0].decode())
        _, found, length = head.partition(b"\r\ncontent-length: ")
        if found:
            self._missing = int(length.partition(b"\r\n")[0])

    def _count(self, now: float, data: bytes) -> None:
        tally = self._tally
        if tally.is_open and b"completion_tokens" in data:
            tally.counted_tokens += sum(map(int, _COUNTED.findall(data)))
        count = len(_TOKEN.findall(data))
        if tally.is_open and count:
            tally.tokens += count
            if self._seen == 0:
                tally.firsts.append(now - self._sent)
            if self._pace_s is not None:
                start = now - self._sent - self._seen * self._pace_s
                tally.lags.extend(start - number * self._pace_s for number in range(count))
        self._seen += count
        if count:
            self.begun.set()

    def _end(self, now: float) -> None:
        if self._tally.is_open:
            self._tally.requests += 1
            self._tally.latencies.append(now - self._sent)
        self._ask()


async def _run(plan: Plan) -> Outcome:
    tally = Tally()
    tally.is_open = plan.requests_each is not None
    connections: list[Connection] = []
    before, began = _clocks(plan), time.perf_counter()
    async for connection in _connect(plan, tally):
        connections.append(connection)
    if plan.requests_each is not None:
        await asyncio.gather(*(connection.ended.wait() for connection in connections))
    else:
        await _warm_up(plan, connections)
        tally.is_open = True
        before, began = _clocks(plan), time.perf_counter()
        await asyncio.sleep(plan.window_s)
    after, ended = _clocks(plan), time.perf_counter()
    tally.is_open = False
    for connection in connections:
        connection.leave()
    cpu_s = {name: after[name] - before[name] for name in after}
    return tally.outcome(wall_s=ended - began, own_cpu_s=cpu_s.pop(""), cpu_s=cpu_s)


async def _connect(plan: Plan, tally: Tally) -> AsyncIterator[Connection]:
    url = urlsplit(plan.url)
    requests = [_request(url.path, body) for body in plan.bodies]
    pace_s = None if plan.token_ms is None else plan.token_ms / 1000
    for number in range(plan.connections):
        own = islice(cycle(requests), number % len(requests), None)
        make = partial(Connection, tally, islice(own, plan.requests_each), pace_s)
        _, connection = await asyncio.get_running_loop().create_connection(make, url.hostname or "", url.port or 80)
        yield connection
        if plan.requests_each is None:
            await asyncio.sleep(plan.ramp_s / plan.connections)


async def _warm_up(plan: Plan, connections: Sequence[Connection]) -> None:
    begun = [asyncio.create_task(connection.begun.wait()) for connection in connections]
    _, pending = await asyncio.wait(begun, timeout=plan.begin_within_s)
    for task in pending:
        task.cancel()
    await asyncio.sleep(plan.settle_s)


def _clocks(plan: Plan) -> dict[str, float]:
    return {"": time.process_time(), **{name: cpu_s(pids) for name, pids in plan.pids.items()}}


def _request(path: str, body: Mapping[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
    return head.encode() + b"\r\n\r\n" + data


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(_run(Plan(**json.load(sys.stdin)))))))
