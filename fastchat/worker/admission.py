"""How many requests run, how many wait, and who is turned away."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastchat.core.errors import NoWorker, QueueFull


class Admission:
    """`slots` answers are generated at once; up to `max_waiting` requests wait for their first, in the order they came.

    A request with several answers takes a slot for each as they become free, so it neither waits until there are many
    nor keeps others from those that are.
    """

    def __init__(self, slots: int, max_waiting: int) -> None:
        self.slots = slots
        self.running = 0  # requests that have had a slot
        self.waiting = 0  # requests that have not
        self.is_draining = False
        self._free = slots
        self._max_waiting = max_waiting
        self._queue: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def admit(self) -> AsyncIterator["Ticket"]:
        """Let a request in; its answers take their slots from the ticket.

        Raises:
            QueueFull: it would have to wait, and too many do already.
            NoWorker: the worker is draining.
        """
        if self.is_draining:
            raise NoWorker("This worker is about to stop.", retry_after_s=1)
        if not self._free and self.waiting >= self._max_waiting:
            raise QueueFull(
                f"All {self.slots} slots of this worker are busy and {self._max_waiting} requests wait already.",
                retry_after_s=1,
            )
        ticket = Ticket(self)
        self.waiting += 1
        try:
            yield ticket
        finally:
            if ticket.has_begun:
                self.running -= 1
            else:
                self.waiting -= 1

    async def take(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # cancelled in the moment its turn had come
            else:
                with suppress(ValueError):  # whoever gave back in the same moment has passed over it
                    self._queue.remove(turn)
            raise

    def give_back(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():  # else its request has left, and its task has not come round to say so
                turn.set_result(None)
                return
        self._free += 1


class Ticket:
    """A request that was let in."""

    def __init__(self, admission: Admission) -> None:
        self.has_begun = False
        self._admission = admission

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot for one answer, once there is one."""
        await self._admission.take()
        if not self.has_begun:
            self.has_begun = True
            self._admission.waiting -= 1
            self._admission.running += 1
        try:
            yield
        finally:
            self._admission.give_back()
