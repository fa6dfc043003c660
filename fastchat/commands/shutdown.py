"""`fastchat shutdown`, as before `python3 -m fastchat.serve.shutdown_serve`: stop servers of this machine.

By their records in the run directory, so that nothing is ended that only looks like ours.
"""

import argparse
from collections.abc import Sequence

import psutil

from fastchat.core.processes import running_processes

ROLES = ("up", "controller", "model_worker", "openai_api_server", "web")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="fastchat shutdown", description="Stop servers that run on this machine.")
    parser.add_argument("--down", choices=("all", *ROLES), default="all", help="which (default: %(default)s)")
    parser.add_argument("--wait-s", type=float, default=40.0, help="how long to wait for them (default: %(default)s)")
    arguments = parser.parse_args(argv)
    chosen = [one for one in running_processes() if arguments.down in ("all", one.role)]
    if not chosen:
        print("Nothing of ours is running.")
    for one in chosen:
        print(f"stopping {one.role} (pid {one.pid}, {one.url})")
        one.terminate()
    _, left = psutil.wait_procs(
        [psutil.Process(one.pid) for one in chosen if psutil.pid_exists(one.pid)], arguments.wait_s
    )
    for process in left:
        print(f"pid {process.pid} is still finishing its requests")
    if left:
        raise SystemExit(1)
