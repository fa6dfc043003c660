"""One server as a child process: what it says, how it ends, and that nothing of it stays behind."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

LAST_LINES = 20
_LONGEST_LINE = 4000
_CHUNK = 65536
_OUR_LOOKS = re.compile(r'"GET /(health|metrics) HTTP/[\d.]+" 200')  # twice a second in the access log of the server
_END_OF_LINE = re.compile(rb"[\r\n]+")  # progress bars go back to the beginning of a line


class ServerChild:
    """Started by `start`, over when `exited` is done. Everything it writes goes to our stderr behind its name."""

    def __init__(self, name: str, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self.argv = tuple(argv)
        self._name = name
        self._environ = environ
        self._lines: deque[str] = deque(maxlen=LAST_LINES)

    async def start(self) -> None:
        # -P: a folder `fastchat` where the user happens to stand is not imported in our place
        guardian = (sys.executable, "-P", "-m", "fastchat.engines.launched.guardian")
        self._process = await asyncio.create_subprocess_exec(
            *guardian,
            *self.argv,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for us: requests that run may finish
        )
        self._reading = asyncio.create_task(self._read())
        self.exited = asyncio.create_task(self._process.wait())

    @property
    def last_words(self) -> str:
        return "\n".join(f"  {line}" for line in self._lines)

    async def stop(self, grace_s: float, hurry: asyncio.Event) -> None:
        """SIGTERM, and SIGKILL for all that is still there after `grace_s` seconds or once we are hurried."""
        with suppress(ProcessLookupError):  # it has ended
            self._process.terminate()
        waiting = asyncio.create_task(hurry.wait())
        await asyncio.wait([self.exited, waiting], timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await self.close()

    async def close(self) -> None:
        """End whatever is left, at once."""
        with suppress(ProcessLookupError, PermissionError):  # nobody is left; macOS says the latter of a zombie
            os.killpg(self._process.pid, signal.SIGKILL)
        await self.exited
        if self._process.stdin:
            self._process.stdin.close()
        # What left the group could hold the pipe open for ever.
        await asyncio.wait([self._reading], timeout=1.0)
        self._reading.cancel()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        rest = b""
        while data := await self._process.stdout.read(_CHUNK):
            *lines, rest = _END_OF_LINE.split(rest + data)
            for line in lines:
                self._say(line)
            rest = rest[-_LONGEST_LINE:]
        self._say(rest)

    def _say(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text and not _OUR_LOOKS.search(text):
            self._lines.append(text)
            with suppress(OSError):  # our own stderr may be gone
                sys.stderr.write(f"{self._name} | {text}\n")
                sys.stderr.flush()
