"""The writer: in order, together, and never in the way of who reads."""

import asyncio
import threading

import pytest
from sqlalchemy import Connection, text

from fastchat.core.errors import StoreFailed
from tests.arena.store.stories import begun, opened


async def test_reading_does_not_wait_for_the_writer(address: str) -> None:
    may_end = threading.Event()
    is_writing = threading.Event()

    def write_slowly(connection: Connection) -> None:
        connection.execute(text("DELETE FROM admin_actions"))
        is_writing.set()
        may_end.wait(30)

    async with opened(address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        writing = asyncio.create_task(store.write(write_slowly))
        try:
            await asyncio.to_thread(is_writing.wait, 30)
            assert await store.conversation(conversation.conversation_id) == conversation
            assert not writing.done()
        finally:
            may_end.set()
        await writing


async def test_what_waits_is_committed_together_and_in_order(address: str) -> None:
    may_end = threading.Event()
    done: list[tuple[int, object]] = []

    def note(connection: Connection, number: int) -> None:
        done.append((number, connection.get_transaction()))

    async with opened(address) as store:
        first = asyncio.create_task(store.write(lambda _: may_end.wait(30)))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(store.write(note, number)) for number in range(20)]
        await asyncio.sleep(0)
        may_end.set()
        await asyncio.gather(first, *rest)
    assert [number for number, _ in done] == list(range(20))
    assert len({transaction for _, transaction in done}) <= 2  # the first may have been taken alone


async def test_what_waits_is_written_before_the_store_closes(address: str) -> None:
    async with opened(address) as store:
        voters = [asyncio.create_task(store.voter_id(f"voter {number}", None)) for number in range(5)]
        ids = await asyncio.gather(*voters)
        left = asyncio.create_task(store.write(lambda connection: connection.execute(text("SELECT 1")).scalar()))
        await asyncio.sleep(0)
    assert await left == 1
    with pytest.raises(StoreFailed, match="ending"):
        await store.rename("any", "title")
    async with opened(address) as store:
        assert [await store.voter_id(f"voter {number}", None) for number in range(5)] == ids


async def test_a_caller_who_left_spoils_nothing(address: str) -> None:
    async with opened(address) as store:
        leaving = [asyncio.create_task(store.write(lambda _: None)) for _ in range(50)]
        await asyncio.sleep(0)
        for task in leaving[::2]:
            task.cancel()
        results = await asyncio.gather(*leaving, return_exceptions=True)
        assert results[1::2] == [None] * 25
        assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
        assert await store.voter_id("key", None)
