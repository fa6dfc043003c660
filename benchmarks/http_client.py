"""Is the lean HTTP client of the hop worth having? CPU a request through it and through aiohttp, to the same worker."""

import json
import time
from collections.abc import Awaitable, Callable
from statistics import median

import aiohttp
import uvloop
from yarl import URL

from benchmarks.results import Findings, Table
from benchmarks.servers import Servers
from benchmarks.systems import SCRIPTED, bring_up, scripted
from fastchat.client.http1 import Http1Client

TITLE = "HTTP client of the hop"
PATH = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def run(*, is_quick: bool) -> Findings:
    rounds, requests = (2, 200) if is_quick else (7, 2000)
    with Servers() as servers:
        worker = bring_up(servers, [scripted({"tokens": 1}, slots=8)]).workers[0]
        ours, theirs = uvloop.run(_measure(worker.url, rounds, requests))
    table = Table(
        title="CPU of the caller for a request that is not streamed, one after the other on a kept connection",
        note=f"Median of {rounds} rounds of {requests} requests, the two taking turns; uvloop.",
        columns=("client", "CPU µs a request", "times ours"),
        rows=(("fastchat.client.http1", ours, 1.0), ("aiohttp", theirs, theirs / ours)),
    )
    return Findings(tables=(table,), aims=())


async def _measure(url: str, rounds: int, requests: int) -> tuple[float, float]:
    message = {"role": "user", "content": "hello"}
    body = json.dumps({"model": SCRIPTED, "messages": [message]}).encode()
    client = Http1Client(connect_s=5, idle_s=60)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session:
        address = URL(url + PATH)

        async def through_ours() -> None:
            connection = await client.post(url, PATH, JSON, body)
            await connection.read()
            client.release(url, connection)

        async def through_aiohttp() -> None:
            async with session.post(address, data=body, headers=JSON) as response:
                await response.read()

        pairs = [
            (await _cpu_us(through_ours, requests), await _cpu_us(through_aiohttp, requests)) for _ in range(rounds)
        ]
    client.close()
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


async def _cpu_us(ask: Callable[[], Awaitable[None]], requests: int) -> float:
    started = time.process_time()
    for _ in range(requests):
        await ask()
    return (time.process_time() - started) / requests * 1e6
