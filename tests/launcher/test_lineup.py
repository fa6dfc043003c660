"""The models that are served: they come and go one by one."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fastchat.core.errors import UnknownModel
from fastchat.launcher.config import LocalModel
from fastchat.launcher.lineup import Lineup, ServedHere, WorkerNames
from fastchat.launcher.memory import Estimate
from fastchat.launcher.plan import PlannedModel
from fastchat.launcher.processes import Child, Command
from tests.launcher.watched import eventually

WAITS = "import time; time.sleep(600)"
CANNOT_START = "raise SystemExit(2)"


def planned(*names: str) -> PlannedModel:
    return PlannedModel(LocalModel(model="scripted", names=names), "scripted", Estimate(), 1)


@asynccontextmanager
async def lineup_of(folder: Path, program: str) -> AsyncIterator[Lineup]:
    def build(model: PlannedModel) -> ServedHere:
        command = Command(model.label, (sys.executable, "-c", program), environ={}, log_dir=folder)
        return ServedHere(model, [Child(command, lambda event: None)])

    async with asyncio.TaskGroup() as group:
        lineup = Lineup(group, build)
        try:
            yield lineup
        finally:
            await lineup.stop(grace_s=10)


def labels(lineup: Lineup) -> list[str]:
    return [model.planned.label for model in lineup]


async def test_a_removed_model_is_there_until_its_worker_has_ended(tmp_path: Path) -> None:
    async with lineup_of(tmp_path, WAITS) as lineup:
        lineup.add(planned("a"))
        lineup.add(planned("b"))
        await eventually(lambda: all(child.pid for child in lineup.workers))

        lineup.remove("a")

        assert labels(lineup) == ["a", "b"]
        assert [model.label for model in lineup.planned] == ["b"]
        await eventually(lambda: labels(lineup) == ["b"])


async def test_removing_takes_everything_that_answers_to_the_name(tmp_path: Path) -> None:
    async with lineup_of(tmp_path, WAITS) as lineup:
        for names in (("a", "x"), ("b", "x"), ("c",)):
            lineup.add(planned(*names))

        lineup.remove("x")

        await eventually(lambda: labels(lineup) == ["c"])


async def test_a_model_that_failed_stays_until_it_is_removed(tmp_path: Path) -> None:
    async with lineup_of(tmp_path, CANNOT_START) as lineup:
        lineup.add(planned("a"))
        await eventually(lambda: lineup.is_hopeless)
        assert labels(lineup) == ["a"]

        lineup.remove("a")

        await eventually(lambda: labels(lineup) == [])


async def test_one_model_with_hope_is_hope_for_all(tmp_path: Path) -> None:
    async with lineup_of(tmp_path, WAITS) as lineup:
        lineup.add(planned("a"))
        lineup.add(planned("b"))
        failed, _ = lineup.workers
        failed.state = "failed"

        assert not lineup.is_hopeless


async def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    async with lineup_of(tmp_path, WAITS) as lineup:
        lineup.add(planned("a"))

        with pytest.raises(UnknownModel, match="Models served here: a"):
            lineup.remove("b")


async def test_who_does_not_end_in_time_is_hurried(tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True);" + WAITS
    async with lineup_of(tmp_path, stubborn) as lineup:
        lineup.add(planned("a"))
        [child] = lineup.workers
        await eventually(lambda: child.pid is not None and child.log.last_lines() == ("here",))

        await lineup.stop(grace_s=0.05)

        assert child.state == "stopped"


def test_workers_are_numbered_by_model_and_named_like_files() -> None:
    names = WorkerNames()

    assert [names.next(label) for label in ("org/a b", "c", "org/a b")] == [
        "worker-org-a-b-1",
        "worker-c-1",
        "worker-org-a-b-2",
    ]
