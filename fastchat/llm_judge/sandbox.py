"""Runs Python that nobody has read, an answer of a model, in a process of its own with limits.

On Linux with Landlock and seccomp (`Run.guards` says what there was) the kernel refuses sockets, new processes and
programs, signals to others, reading anything but Python's library and the system's, and writing outside an empty
folder that goes away. Elsewhere only the resource limits and a hook inside Python stand in the way: that stops what a
model writes by mistake, and nobody who means it. On no system is this a wall against an attacker with a kernel bug;
whoever runs answers of people unknown puts a container or a virtual machine around it. Not limited: the sum of all
files in the folder (each one is), and asking whether a path exists.
"""

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from io import RawIOBase
from pathlib import Path

from fastchat.core.errors import SetupError

_CHILD = Path(__file__).with_name("sandboxed.py")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    wall_s: float = 15.0
    cpu_s: int = 5
    memory_bytes: int = 512 * _MIB  # of addresses; threads' stacks count, which bounds threads too
    file_bytes: int = 8 * _MIB  # each file
    open_files: int = 64
    output_bytes: int = _MIB // 4  # of output and of error, each


class Why(StrEnum):
    """How a run ended."""

    DONE = "done"
    EXCEPTION = "exception"  # or an exit with a status of its own
    TIME = "time"
    MEMORY = "memory"
    OUTPUT = "output"
    KILLED = "killed"  # by a signal that we did not send: the interpreter crashed, or the machine has no memory left


@dataclass(frozen=True, slots=True)
class Run:
    passed: bool  # it ran to its end, which says nothing of what it printed
    output: str
    error: str
    duration_s: float
    why: Why
    guards: tuple[str, ...]  # what the kernel enforced beside resource limits: of "seccomp", "landlock"


def run_python(program: str, *, stdin: str = "", limits: Limits | None = None) -> Run:
    """Blocks for `limits.wall_s` seconds at most; from asyncio, call it in a thread.

    Raises:
        SetupError: this system cannot limit a process, or the limits could not be set: nothing was run.
    """
    if os.name != "posix":
        raise SetupError("Answers are run on Linux or macOS only: Windows lacks the limits that make it safe.")
    folder = os.path.realpath(tempfile.mkdtemp(prefix="fastchat-sandbox-"))
    try:
        return _run(folder, program, stdin, limits or Limits())
    finally:
        with suppress(RecursionError):  # a program can dig folders deeper than rmtree reaches
            shutil.rmtree(folder, ignore_errors=True)


def _run(folder: str, program: str, stdin: str, limits: Limits) -> Run:
    job = json.dumps({"program": program, "folder": folder, **asdict(limits)})
    with tempfile.TemporaryFile() as job_file, tempfile.TemporaryFile() as stdin_file:
        for file, text in ((job_file, job), (stdin_file, stdin)):
            file.write(text.encode("utf-8", "replace"))
            file.seek(0)
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as report:
            try:
                child = _start(folder, stdin_file.fileno(), (job_file.fileno(), writing))
            finally:
                os.close(writing)
            return _watch(child, report, limits)


def _start(folder: str, stdin: int, job_and_report: tuple[int, int]) -> subprocess.Popen[bytes]:
    """No `preexec_fn`, which is unsafe beside threads: the child binds itself before it compiles the program."""
    return subprocess.Popen(
        [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", str(_CHILD), *map(str, job_and_report)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={"HOME": folder, "TMPDIR": folder, "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"},
        pass_fds=job_and_report,
        start_new_session=True,
    )


def _watch(child: subprocess.Popen[bytes], report: RawIOBase, limits: Limits) -> Run:
    started = time.monotonic()
    assert child.stdout is not None
    assert child.stderr is not None
    texts = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray(), report.fileno(): bytearray()}
    with child:
        try:
            stopped = _read(texts, limits.output_bytes, started + limits.wall_s)
        finally:
            # Before the child is waited for, so that its number is still its own. One that has ended keeps its status.
            with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of one that has ended
                os.killpg(child.pid, signal.SIGKILL)
    output, error, guards = (bytes(text).decode("utf-8", "replace") for text in texts.values())
    if "\n" not in guards:  # the child has not come to the program, which is no fault of the program
        raise SetupError(
            f"The sandbox could not be set up in {limits.wall_s:g} s: {error.strip()[-500:] or 'no reason'}"
        )
    why = stopped or _why(child.returncode, error)
    return Run(
        why is Why.DONE, output, error, time.monotonic() - started, why, tuple(guards.partition("\n")[0].split())
    )


def _read(texts: dict[int, bytearray], most: int, until: float) -> Why | None:
    """Fills `texts` until all three are closed, which the end of the child does, or a limit is reached."""
    with selectors.DefaultSelector() as selector:
        for source in texts:
            selector.register(source, selectors.EVENT_READ)
        while selector.get_map():
            left = until - time.monotonic()
            if left <= 0:
                return Why.TIME
            for key, _ in selector.select(left):
                read = os.read(key.fd, 1 << 16)
                if not read:
                    selector.unregister(key.fd)
                text = texts[key.fd]
                text += read[: most - len(text)]
                if len(text) >= most:
                    return Why.OUTPUT
    return None


def _why(status: int, error: str) -> Why:
    if status == 0:
        return Why.DONE
    if status == -signal.SIGXCPU:
        return Why.TIME
    if status < 0:
        return Why.KILLED
    last = error.rstrip().rpartition("\n")[2]
    return Why.MEMORY if last.startswith("MemoryError") else Why.EXCEPTION
