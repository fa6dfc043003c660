"""Many jobs, a few at a time: whoever finishes takes the next one, and what is done is recorded at once.

Jobs are iterators, so a hundred thousand of them cost no more memory than those in flight. A process that is killed
loses what was in flight; an interrupted one likewise, since work is cancelled and never recorded by halves.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from fastchat.core.errors import (
    AuthenticationFailed,
    EndpointRefused,
    FastChatError,
    PermissionDenied,
    QueueFull,
    RateLimited,
    SetupError,
    UnknownModel,
    UpstreamError,
)
from fastchat.llm_judge.asking import Ask, Call, Reply
from fastchat.llm_judge.budget import BudgetSpent
from fastchat.llm_judge.places import Jobs, Parallel, Turn, Waiting

log = logging.getLogger(__name__)

Job = TypeVar("Job")
Result = TypeVar("Result")
Request = TypeVar("Request", bound="OfModel")
Sleep: TypeAlias = Callable[[float], Awaitable[None]]
_FINAL = (AuthenticationFailed, PermissionDenied, UnknownModel, EndpointRefused)  # no retry mends it


class OfModel(Protocol):
    """Whatever is asked of one."""

    @property
    def model(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Done(Generic[Job, Result]):
    """A job with what came of it: a result, or the error after which nobody tried again."""

    job: Job
    result: Result | None = None
    error: FastChatError | None = None


class ModelClosed(Exception):
    """Whatever this model is asked, it will refuse: the key is wrong, or there is no such model. Others go on."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(reason)
        self.model = model
        self.reason = reason


class Unasked(NamedTuple):
    """Jobs of a model that was closed."""

    jobs: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How a run ended. `is_cut_short`: the budget did not suffice, and jobs are left. `unasked` is by model."""

    done: int
    failed: int
    is_cut_short: bool = False
    unasked: Mapping[str, Unasked] = field(default_factory=dict)


async def run(
    jobs: Jobs[Job],
    work: Callable[[Job], Awaitable[Result]],
    *,
    parallel: Parallel,
    on_done: Callable[[Done[Job, Result]], None],
) -> Tally:
    """Work through all jobs, some at a time. `on_done` records each before its place is given away.

    A job that the budget does not allow is left, and no other is begun after it. Jobs of a model that is closed are
    left, too, and counted.

    Raises:
        SetupError: a person has to mend something before anything can be done.
    """
    waiting = Waiting(jobs, parallel)
    done = failed = 0
    is_cut_short = False
    unasked: dict[str, Unasked] = {}

    async def take_turn(turn: Turn[Job]) -> None:
        nonlocal done, failed, is_cut_short
        try:
            result = await work(turn.job)
        except BudgetSpent:
            is_cut_short = True
            return
        except ModelClosed as closed:
            before = unasked.get(closed.model, Unasked(0, closed.reason))
            unasked[closed.model] = before._replace(jobs=before.jobs + 1)
        except SetupError:
            raise  # it would be the same with every job: a person has to mend something
        except FastChatError as error:
            failed += 1
            on_done(Done(turn.job, error=error))
        else:
            done += 1
            on_done(Done(turn.job, result=result))
        waiting.give_back(turn)
        begin_more()

    def begin_more() -> None:
        while not is_cut_short and (turn := waiting.take()):
            group.create_task(take_turn(turn))

    try:
        async with asyncio.TaskGroup() as group:
            begin_more()
    except ExceptionGroup as raised:
        if faults := raised.subgroup(SetupError):
            raise faults.exceptions[0] from None
        raise
    return Tally(done, failed, is_cut_short, unasked)


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
    ask: Callable[[Request], Awaitable[Result]],
    patience: Patience = Patience(),
    *,
    sleep: Sleep = asyncio.sleep,
    draw: Callable[[], float] = random.random,
) -> Callable[[Request], Awaitable[Result]]:
    """The same, asked again while the server is busy or broken. What it refuses, it would refuse again."""

    async def ask_again(call: Request) -> Result:
        for failures in range(1, patience.attempts):
            try:
                return await ask(call)
            except (UpstreamError, RateLimited, QueueFull) as error:
                if isinstance(error, EndpointRefused) or (error.retry_after_s or 0) > patience.longest_asked_s:
                    raise
                pause_s = patience.pause_s(failures, error, draw())
                log.info("%s: %s; again in %.1f s", call.model, error.message, pause_s)
                await sleep(pause_s)
        return await ask(call)

    return ask_again


def closing(ask: Ask) -> Ask:
    """The same; a model that refuses the key, or is not there, is asked nothing more.

    What is given raises `ModelClosed`.
    """
    closed: dict[str, str] = {}  # the reasons

    async def ask_open(call: Call) -> Reply:
        if call.model not in closed:
            try:
                return await ask(call)
            except _FINAL as error:
                closed[call.model] = error.message
        raise ModelClosed(call.model, closed[call.model])

    return ask_open
