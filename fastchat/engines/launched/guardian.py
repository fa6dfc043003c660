"""`python -m fastchat.engines.launched.guardian PROGRAM …` runs a server that does not outlive who asked for it.

Standard input is a pipe that the parent holds and never writes to: the kernel closes it whichever way the parent dies.
Signals to end are handed on to the server alone, so that it can end its own processes in its own order. Imports next to
nothing, because it stays in memory beside every server.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import FrameType

GRACE_S = 10.0


def main(argv: Sequence[str], grace_s: float = GRACE_S) -> int:
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def hand_on(number: int, _: FrameType | None) -> None:
        server.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)
    orphaned = threading.Event()
    threading.Thread(target=_watch, args=(server, orphaned, grace_s), daemon=True).start()
    code = server.wait()
    if orphaned.is_set():
        _end_group()
    return code if code >= 0 else 128 - code


def _watch(server: "subprocess.Popen[bytes]", orphaned: threading.Event, grace_s: float) -> None:
    while os.read(0, 1):
        pass
    orphaned.set()
    server.terminate()
    threading.Event().wait(grace_s)
    _end_group()


def _end_group() -> None:
    """The server, what it started and ourselves: we were made the leader of a group of our own."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
