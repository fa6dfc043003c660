"""Ends this process when the one that started it is gone, even if that was killed with -9.

The parent holds the writing end of a pipe, its children the reading end: the kernel closes the writing end whichever
way the parent dies. Imports next to nothing, because every process of ours calls it before anything else.
"""

import os
import signal
import threading
import time

FD_ENV = "FASTCHAT_PARENT_FD"
GRACE_S = 10.0


def exit_with_parent(grace_s: float = GRACE_S) -> None:
    """Watch the pipe named in the environment, if there is one: at its end SIGTERM, after `grace_s` a hard end."""
    # Taken out of the environment: a grandchild would find some other file under this number.
    fd = os.environ.pop(FD_ENV, None)
    if fd is not None:
        os.set_inheritable(int(fd), False)
        threading.Thread(target=_watch, args=(int(fd), grace_s), name="parent-watch", daemon=True).start()


def _watch(fd: int, grace_s: float) -> None:
    while os.read(fd, 1):  # nothing is ever written; this returns when the parent is gone
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    if os.getpgrp() == os.getpid():  # what we started goes with us
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


class ParentPipe:
    """The parent's side. Children may live as long as `write_fd` is open, here and nowhere else."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()

    def close(self) -> None:
        os.close(self.read_fd)
        os.close(self.write_fd)
