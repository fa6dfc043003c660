"""CPU time of other processes, fine enough to tell microseconds a request apart."""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of CPU that these processes have used so far, all their threads together."""
    return sum(map(_cpu_s, pids))


def _cpu_s(pid: int) -> float:
    if sys.platform != "linux":
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    # What clock_getcpuclockid(3) computes. /proc counts in ticks of 10 ms, this clock in nanoseconds.
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9


def waited_s(pids: Iterable[int]) -> float:
    """Seconds that these processes' main threads could have run but had no core: what others took from them. Linux."""
    if sys.platform != "linux":
        return 0.0
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) for pid in pids) / 1e9
