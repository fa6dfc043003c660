"""Standard input in pieces that end somewhere, read without stopping the event loop."""

import asyncio
import codecs
import os

from fastchat.terminal.interrupts import Interrupted


class InputStream:
    """Text of a file descriptor. It is read when it is awaited and never ahead, and stays a blocking one: a terminal
    is often the same open file as standard output, which nobody expects to refuse a long line.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._ready: asyncio.Future[None] | None = None
        self._is_interrupted = False

    def interrupt(self) -> None:
        """End the waiting for input, or else the next one; what had been typed is dropped."""
        self._is_interrupted = True
        if self._ready is not None:
            self._settle(Interrupted())

    async def until(self, end: str) -> str | None:
        """Text up to `end`, without it; None if there is no further one. What is left then stays."""
        while end not in self._rest:
            piece = await self._more()
            if not piece:
                return None
            self._rest += piece
        text, _, self._rest = self._rest.partition(end)
        return text

    async def line(self) -> str | None:
        """The next line; the last one needs no end."""
        line = await self.until("\n")
        return line.removesuffix("\r") if line is not None else self._take_rest()

    async def everything(self) -> str | None:
        """All up to the end of input, which on a terminal is Ctrl-D and not for ever."""
        while piece := await self._more():
            self._rest += piece
        return self._take_rest()

    def _take_rest(self) -> str | None:
        rest, self._rest = self._rest, ""
        return rest or None

    async def _more(self) -> str:
        while True:
            await self._until_readable()
            data = os.read(self._fd, 2**16)
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text

    async def _until_readable(self) -> None:
        """
        Raises:
            Interrupted: `interrupt` was called first.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        if self._is_interrupted:
            self._settle(Interrupted())
        try:
            loop.add_reader(self._fd, self._settle)
        except (PermissionError, NotImplementedError):
            return  # a plain file, which is always readable; or a system where only waiting helps
        try:
            await self._ready
        except Interrupted:
            self._is_interrupted, self._rest = False, ""
            raise
        finally:
            loop.remove_reader(self._fd)

    def _settle(self, failure: Exception | None = None) -> None:
        assert self._ready is not None
        if self._ready.done():
            return
        if failure is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(failure)
