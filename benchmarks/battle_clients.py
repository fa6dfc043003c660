"""Many who battle at once, in a process of their own: `Plan` in, `Outcome` out.

Each asks one question, over the protocol of Gradio's pages or over REST and server-sent events, and notes when each
token came. Servers' CPU clocks and memory are read here, at the very beginning and end of the measured time.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol, TypeAlias

import aiohttp
import psutil
import uvloop

from benchmarks.clocks import cpu_s, waited_s
from benchmarks.flush_marks import STAMP
from benchmarks.gradio_page import GradioPage
from benchmarks.pinning import BESIDE, pin
from benchmarks.servers import ROOT

Way: TypeAlias = Literal["page", "api", "nobody"]  # who follows: Gradio's page, the API's stream, nobody
QUESTION = "Which of you is better?"


@dataclass(frozen=True)
class Plan:
    url: str
    way: Way
    clients: int
    ramp_s: float  # questions are asked spread over it
    window_s: float
    pids: Mapping[str, Sequence[int]]  # whose CPU time and memory are wanted
    readers: int = 1  # of each battle; more than one only of the API
    composer: str = ""  # of a page: element in which questions are asked; "" takes the first of its kind
    settle_s: float = 0.5  # from the last first token until the window opens
    begin_within_s: float = 30.0
    opened_at_once: int = 4


@dataclass(frozen=True)
class Outcome:
    """What happened within the window; first tokens are those of the whole run."""

    wall_s: float
    clients: int
    ended: int  # battles that were over before the window was
    flushes: Sequence[tuple[str, float]]  # newest token in it, when it came
    latencies: Sequence[float]  # seconds from the writing of each token until it came
    first_tokens: Sequence[float]  # seconds from the question
    bytes: int
    cpu_s: Mapping[str, float]
    waited_s: Mapping[str, float]  # for a core that somebody else had
    own_cpu_s: float
    memory: Mapping[str, Sequence[int]]  # bytes: before the first client, when all were there, at the end


class BattlesFailed(RuntimeError):
    """The server did not answer as it should, so there is nothing to measure."""


def run_battles(plan: Plan) -> Outcome:
    """Run a plan in a process of its own.

    Raises:
        BattlesFailed: not all battles began.
    """
    with TemporaryDirectory(prefix="fastchat-benchmark-") as folder:
        file = Path(folder) / "outcome.json"
        command = [sys.executable, "-m", "benchmarks.battle_clients", str(file)]
        done = subprocess.run(command, input=json.dumps(asdict(plan)), text=True, cwd=ROOT)
        if done.returncode:
            raise BattlesFailed(f"{plan.clients} battles by way of {plan.way} failed")
        return Outcome(**json.loads(file.read_text()))


@dataclass
class Watcher:
    """What one client sees. `read` is told of every piece of the stream that may hold tokens."""

    asked_at: float = 0.0
    first_at: float | None = None
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: bool = False
    flushes: list[tuple[str, float]] = field(default_factory=list)
    tokens: list[tuple[float, float]] = field(default_factory=list)  # written, came
    bytes: list[tuple[int, float]] = field(default_factory=list)
    beside: "list[Watcher]" = field(default_factory=list)  # further readers of the same battle
    _seen: set[str] = field(default_factory=set)

    def read(self, event: str, now: float) -> None:
        self.bytes.append((len(event), now))
        new = [stamp for stamp in STAMP.findall(event) if stamp not in self._seen]
        if not new:
            return
        if self.first_at is None:
            self.first_at = now
            self.has_begun.set()
        self._seen.update(new)
        self.tokens.extend((float(stamp), now) for stamp in new)
        self.flushes.append((max(new, key=float), now))


class Client(Protocol):
    async def open(self) -> None: ...

    async def battle(self, watcher: Watcher) -> None:
        """Ask, and read to the end."""

    async def close(self) -> None: ...


class PageClient:
    def __init__(self, session: aiohttp.ClientSession, plan: Plan, number: int) -> None:
        self._page = GradioPage(session, plan.url, f"benchmark{number}", composer=plan.composer)

    async def open(self) -> None:
        await self._page.open()

    async def battle(self, watcher: Watcher) -> None:
        watcher.asked_at = time.monotonic()
        await self._page.ask(QUESTION, watcher.read)

    async def close(self) -> None:
        await self._page.close()


class ApiClient:
    """With `is_following` False it asks, and goes away."""

    def __init__(self, session: aiohttp.ClientSession, plan: Plan, *, is_following: bool) -> None:
        self._others = plan.readers - 1
        self._session = session
        self._conversations = f"{plan.url}/api/arena/conversations"
        self._is_following = is_following
        self._headers: dict[str, str] = {}

    async def open(self) -> None:
        async with self._session.post(self._conversations, json={"mode": "battle"}) as reply:
            reply.raise_for_status()
            self._headers["cookie"] = reply.headers["set-cookie"].partition(";")[0]
            self._url = f"{self._conversations}/{(await reply.json())['conversation_id']}"

    async def battle(self, watcher: Watcher) -> None:
        watcher.asked_at = time.monotonic()
        accept = {"accept": "text/event-stream"} if self._is_following else {}
        asked = {"question": QUESTION}
        async with self._session.post(f"{self._url}/turns", json=asked, headers=self._headers | accept) as reply:
            reply.raise_for_status()
            if self._is_following:
                watcher.beside = [Watcher() for _ in range(self._others)]
                readers = [read_events(reply, watcher.read), *map(self._read_along, watcher.beside)]
                await asyncio.gather(*readers)
            else:
                watcher.has_begun.set()
                await asyncio.Event().wait()  # until it is cancelled

    async def _read_along(self, watcher: Watcher) -> None:
        async with self._session.get(f"{self._url}/follow", headers=self._headers) as reply:
            reply.raise_for_status()
            await read_events(reply, watcher.read)

    async def close(self) -> None:
        """Its connection has gone with its task."""


async def read_events(reply: aiohttp.ClientResponse, tell: Callable[[str, float], None]) -> None:
    rest = b""
    async for piece in reply.content.iter_any():
        now = time.monotonic()
        *events, rest = (rest + piece).split(b"\n\n")
        for event in events:
            tell(event.decode(), now)


async def _run(plan: Plan) -> Outcome:
    watchers = [Watcher() for _ in range(plan.clients)]
    memory = {name: [_memory(pids)] for name, pids in plan.pids.items()}
    # Every client has cookies and connections of its own, as browsers do.
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )
    async with session:
        clients = [_client(session, plan, number) for number in range(plan.clients)]
        await _open(clients, plan.opened_at_once)
        _note_memory(memory, plan)
        tasks = []
        for client, watcher in zip(clients, watchers, strict=True):
            tasks.append(asyncio.create_task(_battle(client, watcher)))
            await asyncio.sleep(plan.ramp_s / plan.clients)
        await _all_begun(tasks, watchers, plan)
        before, began = _clocks(plan), time.monotonic()
        await asyncio.sleep(plan.window_s)
        after, ended = _clocks(plan), time.monotonic()
        _note_memory(memory, plan)
        outcome = _outcome(watchers, (began, ended), (before, after), memory)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.close()
    return outcome


def _client(session: aiohttp.ClientSession, plan: Plan, number: int) -> Client:
    if plan.way == "page":
        return PageClient(session, plan, number)
    return ApiClient(session, plan, is_following=plan.way == "api")


async def _open(clients: Sequence[Client], at_once: int) -> None:
    room = asyncio.Semaphore(at_once)

    async def open_one(client: Client) -> None:
        async with room:
            await client.open()

    await asyncio.gather(*map(open_one, clients))


async def _battle(client: Client, watcher: Watcher) -> None:
    await client.battle(watcher)
    watcher.has_ended = True


async def _all_begun(tasks: Sequence[asyncio.Task[None]], watchers: Sequence[Watcher], plan: Plan) -> None:
    begun = asyncio.gather(*(watcher.has_begun.wait() for watcher in watchers))
    try:
        async with asyncio.timeout(plan.begin_within_s):
            while not begun.done():
                await asyncio.wait([begun, *(task for task in tasks if not task.done())], timeout=0.5)
                for task in tasks:
                    if task.done():
                        task.result()  # what went wrong
    except TimeoutError:
        missing = sum(not watcher.has_begun.is_set() for watcher in watchers)
        raise BattlesFailed(f"{missing} of {len(watchers)} battles did not begin") from None
    await asyncio.sleep(plan.settle_s)


def _outcome(
    watchers: Sequence[Watcher],
    window: tuple[float, float],
    clocks: tuple["_Clocks", "_Clocks"],
    memory: Mapping[str, Sequence[int]],
) -> Outcome:
    began, ended = window
    before, after = clocks
    readers = [reader for watcher in watchers for reader in (watcher, *watcher.beside)]

    def is_within(moment: float) -> bool:
        return began <= moment <= ended

    return Outcome(
        wall_s=ended - began,
        clients=len(watchers),
        ended=sum(watcher.has_ended for watcher in watchers),
        flushes=[flush for reader in readers for flush in reader.flushes if is_within(flush[1])],
        latencies=[now - written for reader in readers for written, now in reader.tokens if is_within(now)],
        first_tokens=[watcher.first_at - watcher.asked_at for watcher in watchers if watcher.first_at is not None],
        bytes=sum(size for reader in readers for size, now in reader.bytes if is_within(now)),
        cpu_s={name: used - before.used_s[name] for name, used in after.used_s.items()},
        waited_s={name: waited - before.waited_s[name] for name, waited in after.waited_s.items()},
        own_cpu_s=after.own_s - before.own_s,
        memory=memory,
    )


@dataclass(frozen=True, slots=True)
class _Clocks:
    own_s: float
    used_s: Mapping[str, float]
    waited_s: Mapping[str, float]


def _clocks(plan: Plan) -> _Clocks:
    used_s = {name: cpu_s(pids) for name, pids in plan.pids.items()}
    return _Clocks(time.process_time(), used_s, {name: waited_s(pids) for name, pids in plan.pids.items()})


def _note_memory(memory: Mapping[str, list[int]], plan: Plan) -> None:
    for name, pids in plan.pids.items():
        memory[name].append(_memory(pids))


def _memory(pids: Sequence[int]) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


def main() -> None:
    pin(BESIDE)
    outcome = uvloop.run(_run(Plan(**json.load(sys.stdin))))
    Path(sys.argv[1]).write_text(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
