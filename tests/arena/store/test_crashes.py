"""What was acknowledged is there, whatever is killed when."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from fastchat.arena.store.tables import VOTES
from fastchat.arena.transparency.receipts import Receipt
from fastchat.core.errors import AlreadyVoted, SetupError, StoreFailed
from tests.arena.store.stories import SIGNER, ballot, begun, opened
from tests.databases import PostgresServer, postgres_programs, postgres_server

ROOT = Path(__file__).parents[3]


@contextmanager
def voters(address: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.arena.store.voters", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def acknowledged(process: subprocess.Popen[str], *, until_killed_after: int) -> list[str]:
    assert process.stdout is not None
    ids = []
    for line in process.stdout:
        ids.append(line.strip())
        if len(ids) == until_killed_after:
            process.kill()
    return ids


@pytest.mark.parametrize("number", [1, 300, 1500])
async def test_killing_64_voters_loses_no_acknowledged_vote(address: str, number: int) -> None:
    with voters(address) as process:
        told = await asyncio.to_thread(acknowledged, process, until_killed_after=number)
    assert len(told) >= number
    async with opened(address) as store:
        assert await store.problems() == []
        stored = await store.read(lambda connection: set(connection.scalars(select(VOTES.c.id))))
        assert set(told) <= stored
        verdict = await store.audit(SIGNER.public)
        assert verdict.is_valid
        assert verdict.leaves == verdict.signed_size == len(stored)
        receipt = await store.receipt(vote_id=told[-1])
        voter_id = await store.voter_id("one more", None)
        following = await store.cast(ballot(await begun(store, voter_id)))
        assert following.index == len(stored)
        assert (await store.audit(SIGNER.public, receipts=[receipt, following])).is_valid


@pytest.fixture
def crashing_server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """One of its own: `postgres` must not be stopped, but tells that there are programs to make one."""
    programs = postgres_programs()
    assert programs is not None
    with postgres_server(programs) as server:
        yield server


async def test_a_server_that_crashes_loses_no_acknowledged_vote(crashing_server: PostgresServer) -> None:
    told: list[Receipt] = []
    async with opened(crashing_server.new_database("arena")) as store:
        voter_id = await store.voter_id("key", None)
        mine = [ballot(await begun(store, voter_id)) for _ in range(64)]

        async def vote(number: int) -> None:
            for attempt in range(1000):
                one = replace(mine[number], vote_id=f"{number:018}{attempt:018}", battle_id=f"{number} {attempt}")
                told.append(await store.cast(one))

        voting = asyncio.gather(*map(vote, range(64)), return_exceptions=True)
        while len(told) < 200:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(crashing_server.stop, "immediate")
        results = await voting
        assert {type(result) for result in results} == {StoreFailed}
        with pytest.raises(StoreFailed):
            await store.cast(mine[0])
        await asyncio.to_thread(crashing_server.start)
        following = await store.cast(mine[0])  # it connects again by itself
        with pytest.raises(AlreadyVoted):
            await store.cast(mine[0])
        verdict = await store.audit(SIGNER.public, receipts=[*told, following])
        assert verdict.is_valid
        assert verdict.leaves > len(told)


async def test_a_broken_connection_fails_only_what_was_under_way(postgres_address: str) -> None:
    async with opened(postgres_address) as store:
        voter_id = await store.voter_id("key", None)
        first, second = [ballot(await begun(store, voter_id)) for _ in range(2)]
        kept = await store.cast(first)
        with pytest.raises(StoreFailed):
            await store.write(
                lambda connection: connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())").all()
            )
        following = await store.cast(second)
        assert following.index == 1
        assert (await store.audit(SIGNER.public, receipts=[kept, following])).is_valid


async def test_a_file_that_was_closed_is_opened_again(sqlite_address: str) -> None:
    def close(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.close()

    async with opened(sqlite_address) as store:
        voter_id = await store.voter_id("key", None)
        first, second = [ballot(await begun(store, voter_id)) for _ in range(2)]
        kept = await store.cast(first)
        with pytest.raises(StoreFailed):
            await store.write(close)
        following = await store.cast(second)
        assert (await store.audit(SIGNER.public, receipts=[kept, following])).is_valid
        with pytest.raises(SetupError, match="another process"):
            async with opened(sqlite_address):
                pass
    async with opened(sqlite_address):
        pass
