"""How many votes a second are acknowledged, which means: are on the disk."""

import asyncio
import hashlib
import json
import os
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, event, func, select

from benchmarks.clocks import cpu_s
from benchmarks.results import Aim, Cell, Findings, Table, interleaved, median_of, median_ratio
from benchmarks.servers import ROOT
from fastchat.arena.ids import new_id
from fastchat.arena.records import Battle, Conversation, Mode, Outcome, TextPart, Turn
from fastchat.arena.store.database import Database
from fastchat.arena.store.store import Ballot, Store
from fastchat.arena.store.tables import TREE_HEADS
from fastchat.arena.store.votes import VoteLog
from fastchat.arena.store.writer import Writer
from fastchat.arena.transparency.heads import Signer
from tests.databases import PostgresServer, postgres_programs, postgres_server

TITLE = "Votes: how many are acknowledged in a second"
SQLITE, POSTGRES = "SQLite", "PostgreSQL"
LINES, ROWS = "a line of JSON, synced", "a row of SQLite, committed"
CLIENTS = (1, 16, 64, 256)
AIM_CLIENTS, AIM_SYNC_S = 64, 0.004
_VOTERS = 200

Write: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    clients: int = 1
    sync_s: float = 0.0  # if the disk is faster, commits are made to take that long

    @property
    def is_ours(self) -> bool:
        return self.name in (SQLITE, POSTGRES)


@dataclass(frozen=True, slots=True)
class Pace:
    per_s: float
    p50_ms: float
    p99_ms: float
    together: float  # votes in a commit
    cpu_us: float  # a vote, of the database's server too
    disk_ms: float  # a sync, just before


def run(*, is_quick: bool) -> Findings:
    rounds, window_s = (1, 0.3) if is_quick else (5, 3.0)
    # On the disk of this checkout: the system's temporary folder may be no disk at all.
    (ROOT / ".cache").mkdir(exist_ok=True)
    with TemporaryDirectory(dir=ROOT / ".cache", prefix="votes-") as folder, _postgres() as server:
        bench = _Bench(Path(folder), server, window_s)
        paces = dict(interleaved(_contenders(has_postgres=server is not None), rounds, bench.measure))
    return Findings(tables=(_table(paces, window_s, rounds),), aims=_aims(paces))


@contextmanager
def _postgres() -> Iterator[PostgresServer | None]:
    programs = postgres_programs()
    if programs is None:
        print("PostgreSQL is not installed and will be missing")
        yield None
        return
    with postgres_server(programs) as server:
        yield server


def _contenders(*, has_postgres: bool) -> list[Contender]:
    ours = (SQLITE, POSTGRES) if has_postgres else (SQLITE,)
    return [
        Contender(LINES),
        Contender(ROWS),
        *(Contender(name, clients) for clients in CLIENTS for name in ours),
        *(Contender(name, AIM_CLIENTS, AIM_SYNC_S) for name in ours),
    ]


class _Bench:
    def __init__(self, folder: Path, server: PostgresServer | None, window_s: float) -> None:
        self._folder = folder
        self._server = server
        self._window_s = window_s
        self._numbers = count()

    def measure(self, contender: Contender) -> Pace:
        name = f"votes_{next(self._numbers)}"
        disk_s = _sync_s(self._folder / name)
        if not contender.is_ours:
            write = _lines if contender.name == LINES else _rows
            return _one_by_one(write(self._folder / f"{name}.votes"), self._window_s, disk_s)
        address = str(self._folder / f"{name}.db")
        if contender.name == POSTGRES:
            assert self._server is not None
            address = self._server.new_database(name)
        return asyncio.run(self._vote(address, contender, disk_s))

    async def _vote(self, address: str, contender: Contender, disk_s: float) -> Pace:
        async with _opened(address, max(0.0, contender.sync_s - disk_s)) as store:
            drafts = await _drafts(store)
            took: list[float] = []
            pids = [os.getpid(), *(self._server.pids if self._server and contender.name == POSTGRES else ())]
            before, started = cpu_s(pids), time.perf_counter()
            end = started + self._window_s

            async def client(draft: Ballot) -> None:
                while (asked := time.perf_counter()) < end:
                    await store.cast(_ballot(draft))
                    took.append(time.perf_counter() - asked)

            await asyncio.gather(*(client(drafts[number % _VOTERS]) for number in range(contender.clients)))
            wall_s, used_s = time.perf_counter() - started, cpu_s(pids) - before
            commits = await store.read(_count_heads)
        return _pace(took, wall_s, used_s, disk_s, together=len(took) / commits)


@asynccontextmanager
async def _opened(address: str, delay_s: float) -> AsyncIterator[Store]:
    database = Database.open(address)
    if delay_s:
        event.listen(database.owner().engine, "commit", lambda _: time.sleep(delay_s))
    log = VoteLog(Signer(Ed25519PrivateKey.generate()), time.time, database.backend.name)
    store = Store(database, Writer(database), log, time.time)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


async def _drafts(store: Store) -> list[Ballot]:
    return await asyncio.gather(*(_draft(store, number) for number in range(_VOTERS)))


async def _draft(store: Store, number: int) -> Ballot:
    """Of a voter with a conversation, as votes refer to them."""
    now = time.time()
    voter_id = await store.voter_id(f"voter {number}", None)
    question = Turn(new_id(now), 0, (TextPart(text="Which of you is better?"),), now)
    battle = Battle(new_id(now), "alpha", "beta", 0.25, "weighted", now)
    ids = new_id(now), "default", Mode.BATTLE, voter_id, ("alpha", "beta"), now, now
    conversation = Conversation(*ids, turns=(question,), battle=battle)
    await store.begin(conversation, "0" * 64)
    return Ballot(
        vote_id="",
        battle_id="",
        conversation_id=conversation.conversation_id,
        arena="default",
        mode=Mode.BATTLE.value,
        outcome=Outcome.LEFT,
        model_a="alpha",
        model_b="beta",
        probability=0.25,
        cast_at=now,
        voter_id=voter_id,
        address_hash="0" * 64,
        content_digest=hashlib.sha256(voter_id.encode()).hexdigest(),
        salt=b"",
        dwell_s=2.5,
    )


def _ballot(draft: Ballot) -> Ballot:
    now = time.time()
    return replace(draft, vote_id=new_id(now), battle_id=new_id(now), cast_at=now, salt=secrets.token_bytes(32))


def _count_heads(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(TREE_HEADS)).scalar_one()


@contextmanager
def _lines(file: Path) -> Iterator[Write]:
    """FastChat appends a line a vote, without the sync."""
    with file.open("a") as opened:

        def write(vote: str) -> None:
            opened.write(vote + "\n")
            opened.flush()
            os.fsync(opened.fileno())

        yield write


@contextmanager
def _rows(file: Path) -> Iterator[Write]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE votes (vote TEXT)")
        yield lambda vote: connection.execute("INSERT INTO votes VALUES (?)", (vote,))


def _one_by_one(writing: AbstractContextManager[Write], window_s: float, disk_s: float) -> Pace:
    took: list[float] = []
    with writing as write:
        before, started = time.process_time(), time.perf_counter()
        while (asked := time.perf_counter()) < started + window_s:
            write(json.dumps({"vote_id": new_id(time.time()), "outcome": "leftvote", "salt": secrets.token_hex(32)}))
            took.append(time.perf_counter() - asked)
        wall_s, used_s = time.perf_counter() - started, time.process_time() - before
    return _pace(took, wall_s, used_s, disk_s, together=1)


def _pace(took: Sequence[float], wall_s: float, used_s: float, disk_s: float, *, together: float) -> Pace:
    return Pace(
        per_s=len(took) / wall_s,
        p50_ms=1000 * median(took),
        p99_ms=1000 * quantiles(took, n=100)[98],
        together=together,
        cpu_us=1e6 * used_s / len(took),
        disk_ms=1000 * disk_s,
    )


def _sync_s(file: Path) -> float:
    """Of 4 KiB that were appended; the median of 30."""
    took = []
    with file.open("wb", buffering=0) as opened:
        for _ in range(30):
            opened.write(bytes(4096))
            started = time.perf_counter()
            os.fsync(opened.fileno())
            took.append(time.perf_counter() - started)
    return median(took)


def _table(paces: dict[Contender, list[Pace]], window_s: float, rounds: int) -> Table:
    def row(contender: Contender, values: Sequence[Pace]) -> tuple[Cell, ...]:
        slowed = f", syncs of {1000 * contender.sync_s:g} ms" if contender.sync_s else ""
        is_comparable = not contender.sync_s
        return (
            contender.name + slowed,
            contender.clients,
            median_of(values, lambda pace: pace.per_s),
            *(
                median_ratio(values, paces[base], lambda pace: pace.per_s) if is_comparable else None
                for base in (Contender(LINES), Contender(ROWS))
            ),
            median_of(values, lambda pace: pace.p50_ms),
            median_of(values, lambda pace: pace.p99_ms),
            median_of(values, lambda pace: pace.together),
            median_of(values, lambda pace: pace.cpu_us),
        )

    disk_ms = median(pace.disk_ms for values in paces.values() for pace in values)
    return Table(
        title="Acknowledged votes",
        note=f"For {window_s:g} s, {rounds} times; clients are in the process that owns the store, each votes as soon "
        "as its last vote is acknowledged. Each vote is in the transparency log and has a receipt. The disk took "
        f"{disk_ms:.2g} ms for a sync (median over the run); where 4 ms are given, each commit waits for what is "
        "missing to that. CPU time is that of the process and of the database's server.",
        columns=(
            *("what", "clients", "votes/s", "x lines", "x rows"),
            *("p50 ms", "p99 ms", "votes a commit", "CPU µs a vote"),
        ),
        rows=tuple(row(contender, values) for contender, values in paces.items()),
    )


def _aims(paces: dict[Contender, list[Pace]]) -> tuple[Aim, ...]:
    def aim(name: str, key: str, at_least: float) -> Aim:
        values = paces.get(Contender(name, AIM_CLIENTS, AIM_SYNC_S))
        return Aim(
            key=key,
            text=f"{name}: votes acknowledged for {AIM_CLIENTS} clients on a disk that syncs in 4 ms",
            unit="/s",
            at_least=at_least,
            measured=median_of(values, lambda pace: pace.per_s) if values else None,
        )

    return aim(SQLITE, "votes_sqlite", 3500), aim(POSTGRES, "votes_postgres", 3000)
