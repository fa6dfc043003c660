"""What a piece of work took, for programs that do one piece and end. Only the standard library: peers run it too.

The clock starts after the imports: a service pays for them once. What they took is told beside it.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def report(work: Callable[[], Mapping[str, Any]]) -> None:
    """Do it, and print the result with wall time, CPU time and peak memory as one line of JSON."""
    imports_s = time.time() - _started_at()
    wall, cpu = time.perf_counter(), _cpu_s()
    result = work()
    figures = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": _cpu_s() - cpu,
        "imports_s": imports_s,
        "peak_mb": _peak_mb(),
    }
    print(json.dumps({**figures, **result}))


def _started_at() -> float:
    """Of this process."""
    return float(os.environ["STARTED_AT"])


def _cpu_s() -> float:
    """Of this process, and of those that it started and that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    """Of resident memory. What getrusage tells begins, on Linux, with what the parent had when it made this process."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
