"""The thread in which the model lives. Everything that touches the model is done here, one thing after another."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition, Thread
from typing import TypeVar

from fastchat.core.errors import WorkerFailed
from fastchat.engines.hf.scheduler import Job, Scheduler

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class ModelThread:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._orders: deque[Callable[[], object]] = deque()
        self._changed = Condition()  # guards `_orders` and `_is_closing`
        self._is_closing = False
        self._thread = Thread(target=self._live, name="hf-model", daemon=True)
        self._thread.start()

    @property
    def is_healthy(self) -> bool:
        return self._thread.is_alive() and self._scheduler.is_usable

    def submit(self, job: Job) -> None:
        self._order(lambda: self._scheduler.add(job))

    def cancel(self, key: int) -> None:
        """Before the next step. Nothing happens if the job is over, or the thread."""
        try:
            self._order(lambda: self._scheduler.remove(key))
        except WorkerFailed:
            pass

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Something else to be done with the model, between two steps."""
        future: Future[_Result] = Future()

        def do() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        self._order(do)
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Ends after the step that is under way; running requests fail."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _order(self, order: Callable[[], object]) -> None:
        with self._changed:
            if self._is_closing or not self._thread.is_alive():
                raise WorkerFailed("The engine is closed.")
            self._orders.append(order)
            self._changed.notify()

    def _live(self) -> None:
        try:
            while self._obey():
                if self._scheduler.has_work:
                    self._scheduler.step()
        except BaseException:
            log.exception("the thread of the model ends")
            self._scheduler.is_usable = False
        finally:
            with self._changed:
                self._is_closing = True
                orders = list(self._orders)
            for order in orders:
                order()
            self._scheduler.fail_all(WorkerFailed("The engine was closed."))

    def _obey(self) -> bool:
        """Carry out what was ordered; without work wait for orders. False when it is time to end."""
        with self._changed:
            while not (self._orders or self._is_closing or self._scheduler.has_work):
                self._changed.wait()
            if self._is_closing:
                return False
            number = len(self._orders)  # what comes meanwhile has to wait for a step
        for _ in range(number):
            self._orders.popleft()()  # one by one: should it fail, those after it are not forgotten
        return True
