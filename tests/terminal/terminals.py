"""A command in a real terminal of its own, with a person at it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from types import TracebackType

from tests.stack.system import DEADLINE_S

CTRL_C, CTRL_D, UP, ALT_ENTER = "\x03", "\x04", "\x1b[A", "\x1b\r"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")


class Terminal:
    """What is shown is kept; nothing is waited for but what shall be shown next."""

    def __init__(self, arguments: list[str], env: Mapping[str, str], *, rows: int = 24, columns: int = 80) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # `setsid` makes it the controlling terminal, so that Ctrl-C is a signal.
        self._child = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=dict(env)
        )
        os.close(theirs)
        self._seen = ""
        self._read_up_to = 0  # of what was seen

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, words: str) -> str:
        """Wait until this is shown, after what was waited for before; returns everything up to it."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := self.text.find(words, self._read_up_to)) < 0:
            assert self._read(deadline), f"ended, and did not show {words!r}:\n{self.text[self._read_up_to :]}"
        start, self._read_up_to = self._read_up_to, found + len(words)
        return self.text[start : self._read_up_to]

    def until_end(self) -> int:
        """Wait until the command has ended; returns its exit status."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read(deadline):
            pass
        return self._child.wait(DEADLINE_S)

    @property
    def raw(self) -> str:
        return self._seen

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self._seen).replace("\r", "")

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more is shown after:\n{self.text}"
        try:
            data = os.read(self._ours, 2**16)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self._seen += data.decode(errors="replace")
        return bool(data)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        os.close(self._ours)  # hangs up, which ends what still runs
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
