import asyncio
import random
import tracemalloc
from collections.abc import Iterator

import pytest

from fastchat.core.errors import (
    EndpointRefused,
    FastChatError,
    InvalidRequest,
    NoWorker,
    QueueFull,
    RateLimited,
    SetupError,
    WorkerFailed,
)
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.budget import BudgetSpent
from fastchat.llm_judge.places import Parallel
from fastchat.llm_judge.running import Done, Patience, retrying, run

CALL = Call("echo", [{"role": "user", "content": "Hello"}])


class Refusing:
    """An endpoint that fails with these errors, one after the other, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self, call: Call) -> Reply:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return Reply("yes")


def patient(ask: Ask, pauses: list[float], patience: Patience | None = None) -> Ask:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return retrying(ask, patience or Patience(), sleep=sleep, draw=lambda: 1.0)


async def test_no_more_than_so_many_at_a_time() -> None:
    at_work = most = 0

    async def work(job: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return job * 2

    done: list[Done[int, int]] = []
    tally = await run({"m": range(20)}, work, parallel=Parallel(3), on_done=done.append)
    assert most == 3
    assert (tally.done, tally.failed, tally.is_cut_short) == (20, 0, False)
    assert sorted(one.result or 0 for one in done) == [2 * job for job in range(20)]


async def test_what_cannot_be_done_is_told_with_its_reason_and_the_others_go_on() -> None:
    async def work(job: int) -> int:
        if job == 1:
            raise InvalidRequest("too long")
        return job

    done: list[Done[int, int]] = []
    tally = await run({"m": range(3)}, work, parallel=Parallel(1), on_done=done.append)
    assert (tally.done, tally.failed) == (2, 1)
    assert [one.error.message if one.error else "" for one in done] == ["", "too long", ""]


async def test_nothing_is_begun_once_the_budget_is_spent_and_what_is_in_flight_is_recorded() -> None:
    begun = []
    spent = asyncio.Event()

    async def work(job: int) -> int:
        begun.append(job)
        if job == 1:
            spent.set()
            raise BudgetSpent
        await spent.wait()
        return job

    done: list[Done[int, int]] = []
    tally = await run({"m": range(100)}, work, parallel=Parallel(2), on_done=done.append)
    assert begun == [0, 1]
    assert [one.job for one in done] == [0]
    assert (tally.done, tally.failed, tally.is_cut_short) == (1, 0, True)


async def test_an_interruption_keeps_what_was_done_and_records_nothing_by_halves() -> None:
    done: list[int] = []

    async def work(job: int) -> int:
        if job == 5:
            await asyncio.Event().wait()
        return job

    task = asyncio.create_task(
        run({"m": range(10)}, work, parallel=Parallel(1), on_done=lambda one: done.append(one.job))
    )
    while len(done) < 5:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [0, 1, 2, 3, 4]


async def test_what_a_person_has_to_mend_ends_the_run_at_once() -> None:
    begun = []

    async def work(job: int) -> int:
        begun.append(job)
        raise SetupError("install something")

    with pytest.raises(SetupError, match="install something"):
        await run({"m": range(10)}, work, parallel=Parallel(1), on_done=lambda _: None)
    assert begun == [0]


async def test_a_mistake_of_ours_is_not_taken_for_a_failure_of_the_model() -> None:
    async def work(job: int) -> int:
        raise KeyError(job)

    with pytest.raises(ExceptionGroup) as raised:
        await run({"m": range(3)}, work, parallel=Parallel(1), on_done=lambda _: None)
    assert raised.group_contains(KeyError)


async def test_jobs_that_are_waiting_take_no_memory() -> None:
    def jobs() -> Iterator[str]:
        for number in range(20_000):
            yield f"{number}" * 100

    async def work(job: str) -> int:
        return len(job)

    tracemalloc.start()
    try:
        tally = await run({"m": jobs()}, work, parallel=Parallel(16), on_done=lambda _: None)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert tally.done == 20_000
    assert peak < 1_000_000  # the jobs together are ten times as much


async def test_pauses_grow_and_end() -> None:
    pauses: list[float] = []
    endpoint = Refusing(*(WorkerFailed("broken") for _ in range(9)))
    with pytest.raises(WorkerFailed):
        await patient(endpoint, pauses, Patience(attempts=5, first_pause_s=1, longest_pause_s=5))(CALL)
    assert pauses == [1, 2, 4, 5]
    assert endpoint.calls == 5


@pytest.mark.parametrize("kind", [RateLimited, QueueFull, NoWorker])
async def test_a_server_that_says_when_to_come_back_is_obeyed(kind: type[RateLimited]) -> None:
    pauses: list[float] = []
    endpoint = Refusing(kind("later", retry_after_s=30))
    assert (await patient(endpoint, pauses)(CALL)).text == "yes"
    assert pauses == [31]  # never sooner; the second on top spreads those who were refused together


async def test_nobody_waits_until_tomorrow() -> None:
    pauses: list[float] = []
    with pytest.raises(RateLimited):
        await patient(Refusing(RateLimited("quota spent", retry_after_s=86400)), pauses)(CALL)
    assert pauses == []


@pytest.mark.parametrize("error", [InvalidRequest("no such parameter"), EndpointRefused("wrong key")])
async def test_what_is_refused_is_not_asked_again(error: FastChatError) -> None:
    pauses: list[float] = []
    endpoint = Refusing(error)
    with pytest.raises(type(error)):
        await patient(endpoint, pauses)(CALL)
    assert endpoint.calls == 1
    assert pauses == []


def test_those_who_were_refused_together_do_not_come_back_together() -> None:
    rng = random.Random(1)
    pauses = [Patience().pause_s(3, WorkerFailed("broken"), rng.random()) for _ in range(100)]
    assert 2 <= min(pauses) < 2.5
    assert 3.5 < max(pauses) <= 4
