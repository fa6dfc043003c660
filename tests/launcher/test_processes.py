"""A supervised child: started again after growing pauses, and gone, with all it started, when it is stopped."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fastchat.launcher.log_file import LogFile
from fastchat.launcher.processes import Child, Pauses
from tests.launcher.watched import Watched, eventually

WAITS = "import time; print('here', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAITS
CRASHES = "import sys; print('one', flush=True); sys.exit('two')"

Watch = Callable[..., Watched]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return lambda program, **fields: Watched(program, tmp_path, **fields)


def test_pauses_double_up_to_half_a_minute() -> None:
    pauses = Pauses()

    assert [pauses.after(life_s=1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_pauses_begin_anew_after_a_life_that_lasted() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.after(life_s=1)

    assert [pauses.after(life_s=60), pauses.after(life_s=1)] == [0.5, 1]


async def test_a_child_that_crashes_is_started_again_after_its_pause(watch: Watch) -> None:
    watched = watch(CRASHES)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        first = await watched.until("crashed")
        await watched.clock.has_sleeper.wait()
        watched.clock.pass_s(0.4)
        assert watched.child.state == "pausing"
        watched.clock.pass_s(0.1)
        second = await watched.until("crashed")
        watched.child.stop()

    assert first.text == "ended with exit code 1; starts again in 0.5 s"
    assert second.text == "ended with exit code 1; starts again in 1 s"
    assert watched.child.restarts == 2


async def test_a_crash_is_reported_with_the_last_lines_of_this_life(watch: Watch) -> None:
    watched = watch(CRASHES)
    watched.child.log.path.write_text("from an earlier life\n")
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        event = await watched.until("crashed")
        watched.child.stop()

    assert event.lines == ("one", "two")
    assert watched.child.log.path.read_text() == "from an earlier life\none\ntwo\n"


async def test_a_killed_child_is_started_again_under_another_process_id(watch: Watch) -> None:
    watched = watch(WAITS)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        await watched.until("started")
        first = watched.child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        event = await watched.until("crashed")
        await watched.clock.has_sleeper.wait()
        watched.clock.pass_s(1)
        await watched.until("started")
        second = watched.child.pid
        watched.child.stop()

    assert event.text.startswith("killed by SIGKILL")
    assert second not in (None, first)


async def test_a_child_that_cannot_be_set_up_is_not_started_again(watch: Watch) -> None:
    watched = watch("import sys; print('error: no such model', file=sys.stderr); sys.exit(2)")

    await watched.child.run()

    event = await watched.until("failed")
    assert event.lines == ("error: no such model",)
    assert (watched.child.state, watched.child.restarts) == ("failed", 0)


async def test_a_program_that_is_not_there_is_tried_again(watch: Watch) -> None:
    watched = watch("", argv=("/nowhere/at/all",))
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        event = await watched.until("crashed")
        watched.child.stop()

    assert event.text.startswith("could not be started: [Errno 2]")


async def test_stopping_lets_a_child_finish(watch: Watch) -> None:
    watched = watch(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('finished', flush=True), sys.exit(0)))\n" + WAITS
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        await watched.until("started")
        await watched.until_written("here")
        watched.child.stop()

    assert watched.child.log.last_lines() == ("here", "finished")
    assert (watched.child.state, watched.child.pid) == ("stopped", None)


async def test_a_child_that_does_not_finish_in_time_is_killed(watch: Watch) -> None:
    watched = watch(STUBBORN, grace_s=40.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        await watched.until("started")
        await watched.until_written("here")
        watched.child.stop()
        await watched.clock.has_sleeper.wait()
        assert watched.child.state == "stopping"
        watched.clock.pass_s(40)

    assert watched.child.state == "stopped"


async def test_a_hurried_child_is_killed_at_once(watch: Watch) -> None:
    watched = watch(STUBBORN)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        await watched.until("started")
        await watched.until_written("here")
        watched.child.stop()
        watched.child.hurry()

    assert watched.child.state == "stopped"


async def test_stopping_ends_the_pause_before_the_next_life(watch: Watch) -> None:
    watched = watch(CRASHES)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        await watched.until("crashed")
        watched.child.stop()

    assert watched.child.state == "stopped"


async def test_what_a_child_started_goes_with_it(watch: Watch) -> None:
    watched = watch(
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, 'started', flush=True)\n"
        "time.sleep(600)"
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        await watched.until("started")
        await watched.until_written("started")
        grandchild = int(watched.child.log.last_lines()[0].split()[0])
        watched.child.stop()

    await _is_gone(grandchild)


async def test_cancelling_leaves_nothing_behind(watch: Watch) -> None:
    watched = watch(STUBBORN)
    running = asyncio.create_task(watched.child.run())
    await watched.until("started")
    pid = watched.child.pid
    assert pid is not None

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await _is_gone(pid)


async def test_what_children_write_is_kept_until_it_is_too_much(watch: Watch, tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    log.write_text("a" * 11)

    LogFile(log).keep_small(limit=10)

    assert log.read_text() == ""
    assert (tmp_path / "child.log.1").read_text() == "a" * 11


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (
            "12:00:00 INFO    a: GET /\n12:00:01 WARNING b: odd\n12:00:02 INFO    a: GET /\n",
            ("12:00:01 WARNING b: odd",),
        ),
        (
            '{"time": "1", "level": "INFO", "message": "a"}\n{"time": "2", "level": "ERROR", "message": "b"}\n',
            ('{"time": "2", "level": "ERROR", "message": "b"}',),
        ),
        (
            "12:00:00 INFO    a: GET /\nTraceback (most recent call last):\n  File …\nValueError: no\n",
            ("Traceback (most recent call last):", "  File …", "ValueError: no"),
        ),
        ("12:00:00 INFO    a: first\n12:00:01 DEBUG   a: last\n", ("12:00:01 DEBUG   a: last",)),
        ("12:00:00 INFO    a: GET /\n" * 1000 + "12:00:01 ERROR   a: no\n", ("12:00:01 ERROR   a: no",)),
        ("", ()),
    ],
    ids=["warning", "json", "traceback", "only routine", "half a line", "nothing"],
)
def test_routine_is_no_explanation_of_a_crash(tmp_path: Path, written: str, shown: tuple[str, ...]) -> None:
    log = tmp_path / "child.log"
    log.write_text(written)

    assert LogFile(log).last_lines() == shown


async def test_the_last_lines_are_found_after_the_log_was_cut(watch: Watch) -> None:
    watched = watch(WAITS)
    watched.child.log.path.write_text("a long story\n" * 100)
    async with asyncio.TaskGroup() as group:
        group.create_task(watched.child.run())
        await watched.until("started")
        await watched.until_written("here")
        watched.child.log.keep_small(limit=10)
        _append(watched.child, "after\n")
        lines = watched.child.log.last_lines()
        watched.child.stop()

    assert lines == ("after",)


def _append(child: Child, text: str) -> None:
    with child.log.path.open("a") as log:
        log.write(text)


async def _is_gone(pid: int) -> None:
    """Gone, or dead and only waiting for whoever adopted it to notice."""
    await eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
