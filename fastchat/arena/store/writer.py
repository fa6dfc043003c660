"""The one thread that writes. It takes all that waits, commits it at once, and only then tells those who wait.

A sync of the disk takes milliseconds, whether it is for one row or for a thousand. What fails does not spoil what came
along with it: the batch is rolled back and tried again in halves, so work has to bear being done twice, the first
time in vain. When it is not known whether a commit went through (the connection broke), nothing is tried again.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from sqlalchemy import Connection

from fastchat.arena.store.database import Database
from fastchat.core.errors import StoreFailed

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
TakenT = TypeVar("TakenT", contravariant=True)
GivenT = TypeVar("GivenT", covariant=True)

_MOST = 512  # jobs in a batch
_MOMENT_S = 0.0005
_log = logging.getLogger(__name__)


class Series(Protocol[TakenT, GivenT]):
    """Work that is cheaper done for many at once: a run of it in the queue is handed over together."""

    def write(self, connection: Connection, items: Sequence[TakenT]) -> Sequence[GivenT]:
        """One result an item."""

    def committed(self) -> None:
        """What was written last is on the disk."""

    def failed(self) -> None:
        """What was written last is not on the disk, or nobody knows."""


@dataclass(frozen=True, slots=True)
class _Job:
    future: "asyncio.Future[Any]"  # Any here and below: each job's own, which `write` and `write_in_series` know
    work: Callable[[Connection], Any] | None = None
    series: Series[Any, Any] | None = None
    item: Any = None
    afterwards: Callable[[Connection], None] | None = None


class _Settled(NamedTuple):
    job: _Job
    result: Any
    error: Exception | None


class Writer:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._is_closed = False  # for who comes
        self._has_ended = False  # for the thread
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def write(
        self, work: Callable[[Connection], ResultT], *, afterwards: Callable[[Connection], None] | None = None
    ) -> ResultT:
        """Returns when it is on the disk. A caller who is cancelled only stops waiting.

        What comes `afterwards` is done outside a transaction, once for all who gave the same; it is not done twice.
        """
        job = _Job(asyncio.get_running_loop().create_future(), work, afterwards=afterwards)
        return cast(ResultT, await self._put(job))

    async def write_in_series(self, series: Series[ItemT, ResultT], item: ItemT) -> ResultT:
        job = _Job(asyncio.get_running_loop().create_future(), series=series, item=item)
        return cast(ResultT, await self._put(job))

    def close(self) -> None:
        """Writes what waits, then ends. Blocks."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join()
        _tell_all(self._waiting(), _ending())

    async def _put(self, job: _Job) -> Any:
        if self._is_closed:
            raise _ending()
        self._queue.put(job)
        return await job.future

    def _run(self) -> None:
        jobs: list[_Job] = []
        while not self._has_ended:
            jobs = self._take(len(jobs))
            try:
                self._write(jobs)
            except Exception as error:  # the thread has to live on, and nobody may wait for ever
                _log.exception("the writer failed")
                _tell_all(jobs, error)

    def _take(self, expected: int) -> list[_Job]:
        """All that waits, and what comes within moments, as long as it does and these are fewer than the last time:
        those who were told then are about to come again, and waiting for them costs less than one more commit."""
        first = self._queue.get()
        jobs = self._waiting(first)
        while len(jobs) < expected and not self._has_ended:
            time.sleep(_MOMENT_S)
            more = self._waiting()
            if not more:
                break
            jobs += more
        return jobs

    def _waiting(self, *jobs: _Job | None) -> list[_Job]:
        """These, and those in the queue. The None behind them says that no more will come."""
        waiting = list(jobs)
        while len(waiting) < _MOST:
            try:
                waiting.append(self._queue.get_nowait())
            except Empty:
                break
        self._has_ended |= None in waiting
        return [job for job in waiting if job is not None]

    def _write(self, jobs: Sequence[_Job]) -> None:
        if not jobs:
            return
        try:
            connection = self._database.owner()
        except StoreFailed as error:
            _tell_all(jobs, error)
            return
        all_series = {id(job.series): job.series for job in jobs if job.series}.values()
        try:
            with self._database.errors_in_words(), connection.begin():
                settled = _do(connection, jobs)
        except Exception as error:
            _undo(connection)
            for series in all_series:
                series.failed()
            if len(jobs) == 1 or connection.invalidated:
                _tell_all(jobs, error)
            else:
                self._write(jobs[: len(jobs) // 2])
                self._write(jobs[len(jobs) // 2 :])
            return
        for series in all_series:
            series.committed()
        for afterwards in {job.afterwards for job in jobs if job.afterwards}:
            try:
                with self._database.errors_in_words():
                    afterwards(connection)
            except StoreFailed as error:  # what was written is written
                _log.warning("%s was not done", getattr(afterwards, "__name__", afterwards), exc_info=error)
        _tell(settled)


def _undo(connection: Connection) -> None:
    """SQLAlchemy does not roll back where it was the commit that failed, and SQLite may still be in the transaction."""
    if connection.invalidated:
        return
    try:
        connection.connection.rollback()
    except Exception:  # of whatever driver; the connection is of no use any more
        _log.exception("nothing can be rolled back; connecting anew")
        connection.invalidate()


def _do(connection: Connection, jobs: Sequence[_Job]) -> list[_Settled]:
    settled: list[_Settled] = []
    for _, group in groupby(jobs, key=lambda job: id(job.series or job)):
        run = list(group)
        series, work = run[0].series, run[0].work
        if series:
            results = series.write(connection, [job.item for job in run])
            settled += [_Settled(job, result, None) for job, result in zip(run, results, strict=True)]
        elif work:
            settled.append(_Settled(run[0], work(connection), None))
    return settled


def _ending() -> StoreFailed:
    return StoreFailed("The arena is ending. Try again when it is back.")


def _tell_all(jobs: Sequence[_Job], error: Exception) -> None:
    _tell([_Settled(job, None, error) for job in jobs])


def _tell(settled: Sequence[_Settled]) -> None:
    """Wakes each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Settled]] = {}
    for one in settled:
        by_loop.setdefault(one.job.future.get_loop(), []).append(one)
    for loop, those in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, those)
        except RuntimeError:  # the loop has ended, and whoever waited with it
            _log.debug("%d callers were gone", len(those))


def _settle(settled: Sequence[_Settled]) -> None:
    for job, result, error in settled:
        if job.future.done():  # its caller was cancelled
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
