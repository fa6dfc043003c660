"""What engines that compute on the CPU have to know about it."""

import os

import psutil


def default_threads() -> int:
    """One core is left to others.

    The threads of an engine wait for each other dozens of times a token, so one that has to share its core slows all
    down. With a core left for gateway, page and callers, a busy machine of two cores measured up to five times the
    speed.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or available
    return max(1, min(physical, available - 1))
