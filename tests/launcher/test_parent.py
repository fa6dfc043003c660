"""No child outlives its parent, however that ends."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from fastchat.launcher.parent import FD_ENV, ParentPipe

CHILD = """
    import os, signal, sys, time
    from fastchat.launcher.parent import exit_with_parent

    if "stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: (print("asked", flush=True), os._exit(0)))
    exit_with_parent(grace_s=0.1)
    print("FASTCHAT_PARENT_FD" in os.environ, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def pipe() -> Iterator[ParentPipe]:
    pipe = ParentPipe()
    yield pipe
    for fd in (pipe.read_fd, pipe.write_fd):
        try:
            os.close(fd)
        except OSError:
            pass


def start(pipe: ParentPipe, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), *arguments],
        env=os.environ | {FD_ENV: str(pipe.read_fd)},
        pass_fds=(pipe.read_fd,),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_child_is_asked_to_end_when_its_parent_is_gone(pipe: ParentPipe) -> None:
    with start(pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.close(pipe.write_fd)

        assert child.wait() == 0
        assert child.stdout.readline() == "asked\n"


def test_a_child_that_will_not_end_is_ended(pipe: ParentPipe) -> None:
    with start(pipe, "stubborn") as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.close(pipe.write_fd)

        assert child.wait() == -signal.SIGKILL


def test_grandchildren_do_not_see_the_pipe(pipe: ParentPipe) -> None:
    with start(pipe) as child:
        assert child.stdout is not None

        assert child.stdout.readline() == "False\n"
        child.kill()


def test_watching_imports_nothing_heavy() -> None:
    program = "import sys; before = set(sys.modules); import fastchat.launcher.parent; print(set(sys.modules) - before)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert not any(heavy in loaded for heavy in ("asyncio", "pydantic", "aiohttp", "rich"))
