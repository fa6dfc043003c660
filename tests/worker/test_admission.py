import asyncio

import pytest

from fastchat.core.errors import NoWorker, QueueFull
from fastchat.worker.admission import Admission, Ticket


class Holder:
    """A request that holds its slots until told to leave."""

    def __init__(self, admission: Admission, answers: int = 1) -> None:
        self._leave = asyncio.Event()
        self.is_in = asyncio.Event()
        self.slots = 0
        self.task = asyncio.create_task(self._hold(admission, answers))

    async def _hold(self, admission: Admission, answers: int) -> None:
        async with admission.admit() as ticket:
            await asyncio.gather(*(self._answer(ticket) for _ in range(answers)))

    async def _answer(self, ticket: Ticket) -> None:
        async with ticket.slot():
            self.slots += 1
            self.is_in.set()
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await self.task


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_requests_beyond_the_slots_wait_their_turn() -> None:
    admission = Admission(slots=1, max_waiting=2)
    first, second, third = Holder(admission), Holder(admission), Holder(admission)
    await settle()
    assert (admission.running, admission.waiting) == (1, 2)
    await first.leave()
    await settle()
    assert second.is_in.is_set()
    assert not third.is_in.is_set()
    await second.leave()
    await third.leave()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_beyond_the_queue_a_request_is_turned_away_with_word_when_to_return() -> None:
    admission = Admission(slots=1, max_waiting=1)
    holders = [Holder(admission), Holder(admission)]
    await settle()
    with pytest.raises(QueueFull) as refused:
        async with admission.admit():
            pass
    assert refused.value.retry_after_s
    for holder in holders:
        await holder.leave()


async def test_one_who_stops_waiting_leaves_the_queue() -> None:
    admission = Admission(slots=1, max_waiting=5)
    first, impatient, last = Holder(admission), Holder(admission), Holder(admission)
    await settle()
    impatient.task.cancel()
    await settle()
    assert admission.waiting == 1
    await first.leave()
    await settle()
    assert last.is_in.is_set()
    await last.leave()


async def test_one_cancelled_in_the_moment_of_its_turn_gives_the_slot_back() -> None:
    admission = Admission(slots=1, max_waiting=5)
    first, unlucky = Holder(admission), Holder(admission)
    await settle()
    first._leave.set()
    await first.task  # its turn has come, but it has not run yet
    unlucky.task.cancel()
    await settle()
    async with admission.admit() as ticket, ticket.slot():
        assert admission.running == 1


async def test_many_who_leave_in_the_same_moment_leave_every_slot_free() -> None:
    admission = Admission(slots=1, max_waiting=10)
    holders = [Holder(admission) for _ in range(8)]
    await settle()
    for holder in holders:
        holder.task.cancel()
    await asyncio.gather(*(holder.task for holder in holders), return_exceptions=True)
    async with asyncio.timeout(1), admission.admit() as ticket, ticket.slot():
        assert (admission.running, admission.waiting) == (1, 0)


async def test_a_wide_request_begins_with_the_slots_there_are_and_blocks_nobody() -> None:
    admission = Admission(slots=3, max_waiting=5)
    long = Holder(admission)
    await settle()
    wide = Holder(admission, answers=2)
    narrow = Holder(admission)
    await settle()
    assert wide.slots == 2
    assert not narrow.is_in.is_set()
    wider = Holder(admission, answers=4)
    await wide.leave()
    await settle()
    assert narrow.is_in.is_set(), "it came before"
    assert wider.slots == 1
    await narrow.leave()
    await settle()
    assert wider.slots == 2
    await long.leave()
    await wider.leave()
    assert wider.slots == 4
    assert (admission.running, admission.waiting) == (0, 0)


async def test_a_request_with_more_answers_than_slots_counts_as_one() -> None:
    admission = Admission(slots=2, max_waiting=5)
    wide = Holder(admission, answers=10)
    await settle()
    assert (admission.running, admission.waiting, wide.slots) == (1, 0, 2)
    await wide.leave()
    assert wide.slots == 10


async def test_while_draining_nobody_is_let_in() -> None:
    admission = Admission(slots=1, max_waiting=5)
    admission.is_draining = True
    with pytest.raises(NoWorker):
        async with admission.admit():
            pass
