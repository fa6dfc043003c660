"""Processes kept on cores of their own, so that what is measured shares its core with nothing that measures it."""

import os

SERVER, BESIDE = 0, 1  # the first core is the server's, the second that of all others of ours


def pin(core: int) -> None:
    """Where the system can, and there are enough cores. Before any thread is started: threads inherit it."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if core < len(allowed):
            os.sched_setaffinity(0, {allowed[core]})
