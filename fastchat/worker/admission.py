"""How many requests run, how many wait, and who is turned away."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastchat.core.errors import NoWorker, QueueFull


class Admission:
    """`slots` answers are generated at once; up to `max_waiting` requests wait for theirs, first come first served.

    A request with several choices or prompts takes a slot for each, as far as there are slots.
    """

    def __init__(self, slots: int, max_waiting: int) -> None:
        self.slots = slots
        self.running = 0  # requests
        self.is_draining = False
        self._free = slots
        self._max_waiting = max_waiting
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @asynccontextmanager
    async def admit(self, answers: int) -> AsyncIterator[None]:
        """Hold slots for a request with this many answers.

        Raises:
            QueueFull: too many wait already.
            NoWorker: the worker is draining.
        """
        slots = min(answers, self.slots)
        await self._take(slots)
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._give_back(slots)

    async def _take(self, slots: int) -> None:
        if self.is_draining:
            raise NoWorker("This worker is about to stop.", retry_after_s=1)
        if not self._queue and slots <= self._free:
            self._free -= slots
            return
        if len(self._queue) >= self._max_waiting:
            raise QueueFull(
                f"All {self.slots} slots of this worker are busy and {self._max_waiting} requests wait already.",
                retry_after_s=1,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((slots, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(slots)  # cancelled in the moment its turn had come
            else:
                with suppress(ValueError):  # another who left in the same moment may have passed over it
                    self._queue.remove((slots, turn))
                self._call_next()  # those behind a wide request may fit
            raise

    def _give_back(self, slots: int) -> None:
        self._free += slots
        self._call_next()

    def _call_next(self) -> None:
        while self._queue:
            slots, turn = self._queue[0]
            if not turn.done():  # else its request has left, and its task has not come round to say so
                if slots > self._free:
                    return
                self._free -= slots
                turn.set_result(None)
            self._queue.popleft()
