"""Many jobs, a few at a time: whoever finishes takes the next one, and what is done is recorded at once.

Jobs are an iterator, so a hundred thousand of them cost no more memory than those in flight. A process that is killed
loses what was in flight; an interrupted one likewise, since work is cancelled and never recorded by halves.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from fastchat.core.errors import FastChatError, QueueFull, RateLimited, SetupError, UpstreamError
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.budget import BudgetSpent

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Done(Generic[Job, Result]):
    """A job with what came of it: a result, or the error after which nobody tried again."""

    job: Job
    result: Result | None = None
    error: FastChatError | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How a run ended. `is_cut_short`: the budget did not suffice, and jobs are left."""

    done: int
    failed: int
    is_cut_short: bool = False


async def run(
    jobs: Iterable[Job],
    work: Callable[[Job], Awaitable[Result]],
    *,
    parallel: int,
    on_done: Callable[[Done[Job, Result]], None],
) -> Tally:
    """Work through all jobs, `parallel` of them at a time. `on_done` records each before its place is given away.

    A job that the budget does not allow is left, and no other is begun after it.

    Raises:
        SetupError: a person has to mend something before anything can be done.
    """
    waiting = iter(jobs)
    done = failed = 0
    is_cut_short = False

    async def take_turns() -> None:
        nonlocal done, failed, is_cut_short
        for job in waiting:
            try:
                outcome = Done(job, result=await work(job))
            except BudgetSpent:
                is_cut_short = True
                return
            except SetupError:
                raise  # it would be the same with every job: a person has to mend something
            except FastChatError as error:
                outcome = Done(job, error=error)
            done += outcome.error is None
            failed += outcome.error is not None
            on_done(outcome)
            if is_cut_short:
                return

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(take_turns())
    except ExceptionGroup as raised:
        if faults := raised.subgroup(SetupError):
            raise faults.exceptions[0] from None
        raise
    return Tally(done, failed, is_cut_short)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and how long the pauses are: doubled each time, unless the server names one."""

    attempts: int = 6
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    longest_asked_s: float = 600.0  # whoever wants us back later than this is given up for this run

    def pause_s(self, failures: int, error: FastChatError, share: float) -> float:
        """`share`, between 0 and 1, spreads callers who were refused at the same moment."""
        if error.retry_after_s is not None:
            return error.retry_after_s + share
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** (failures - 1)) * (0.5 + share / 2)


def retrying(
    ask: Ask,
    patience: Patience = Patience(),
    *,
    sleep: Sleep = asyncio.sleep,
    draw: Callable[[], float] = random.random,
) -> Ask:
    """The same, asked again while the server is busy or broken. What it refuses, it would refuse again."""

    async def ask_again(call: Call) -> Reply:
        for failures in range(1, patience.attempts):
            try:
                return await ask(call)
            except (UpstreamError, RateLimited, QueueFull) as error:
                if (error.retry_after_s or 0) > patience.longest_asked_s:
                    raise
                pause_s = patience.pause_s(failures, error, draw())
                log.info("%s: %s; again in %.1f s", call.model, error.message, pause_s)
                await sleep(pause_s)
        return await ask(call)

    return ask_again
