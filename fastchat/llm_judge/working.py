"""Jobs of which every one has to be done: the first that fails ends them all. (`running.py` is for those that may.)"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Job = TypeVar("Job")


async def work_through(jobs: Iterable[Job], work: Callable[[Job], Awaitable[None]], *, at_once: int) -> None:
    """
    Raises:
        Exception: what the first that failed has raised; the others are cancelled.
    """
    waiting = iter(jobs)

    async def take_turns() -> None:
        for job in waiting:
            await work(job)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(take_turns())
    except ExceptionGroup as raised:
        raise raised.exceptions[0] from None
