"""`fastchat shutdown`, as before `python3 -m fastchat.serve.shutdown_serve`: stop servers of this machine.

By their records in the run directory, so that nothing is ended that only looks like ours.
"""

import argparse
import contextlib
import time
from collections.abc import Sequence

import psutil

from fastchat.core.processes import running_processes

ROLES = ("up", "controller", "model_worker", "openai_api_server", "web")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fastchat shutdown", description="Stop servers that run on this machine.")
    parser.add_argument("--down", choices=("all", *ROLES), default="all", help="which (default: %(default)s)")
    parser.add_argument("--wait-s", type=float, default=40.0, help="how long to wait for them (default: %(default)s)")
    arguments = parser.parse_args(argv)
    running = running_processes()
    supervisors = {one.pid for one in running if one.role == "up"}
    if arguments.down == "all":
        # What `fastchat up` started is its own to stop; it would start it again otherwise.
        chosen = [one for one in running if one.pid in supervisors or not supervisors & _ancestors(one.pid)]
    else:
        chosen = [one for one in running if one.role == arguments.down]
    if not chosen:
        print("Nothing of ours is running.")
    for one in chosen:
        print(f"stopping {one.role} (pid {one.pid}, {one.url})")
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            one.terminate()
    deadline = time.monotonic() + arguments.wait_s
    while (left := [one for one in chosen if one.is_running]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for one in left:
        print(f"{one.role} (pid {one.pid}) is still finishing its requests")
    if left:
        raise SystemExit(1)


def _ancestors(pid: int) -> set[int]:
    try:
        return {parent.pid for parent in psutil.Process(pid).parents()}
    except psutil.NoSuchProcess:
        return set()
