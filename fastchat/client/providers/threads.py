"""Where blocking SDKs are handed over to threads; nothing else here starts one."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar, cast

ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)

_END = object()


class BlockingStream(Protocol[ItemT_co]):
    def __iter__(self) -> Iterator[ItemT_co]: ...

    def break_off(self) -> None:
        """Wake the thread that reads. May be called from any thread, and when all is over."""
        ...

    def close(self) -> None: ...


class Threads(Generic[ItemT]):
    """A thread for each stream that is being read, up to `most`; more streams wait."""

    def __init__(self, name: str, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)

    async def read(self, begin: Callable[[], BlockingStream[ItemT]]) -> AsyncGenerator[ItemT, None]:
        """The items of a stream. Closing the generator closes the stream, even while a thread waits for an item."""
        beginning = self._pool.submit(begin)
        try:
            stream = await asyncio.wrap_future(beginning)
        except asyncio.CancelledError:
            beginning.add_done_callback(_close_what_came)  # the call itself cannot be interrupted
            raise
        items = iter(stream)
        try:
            while True:
                item = await asyncio.wrap_future(self._pool.submit(next, items, _END))
                if item is _END:
                    return
                yield cast(ItemT, item)
        finally:
            stream.break_off()
            self._pool.submit(stream.close)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _close_what_came(beginning: "Future[BlockingStream[ItemT]]") -> None:
    if not beginning.cancelled() and beginning.exception() is None:
        beginning.result().close()
