"""The models that are served at the moment. It grows and shrinks while the system runs."""

import asyncio
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

from fastchat.core.errors import UnknownModel
from fastchat.launcher.hosted import ServedElsewhere
from fastchat.launcher.plan import PlannedModel
from fastchat.launcher.processes import Child

ModelState: TypeAlias = Literal["starting", "ready", "restarting", "failed", "draining"]


class ServedHere:
    """A model with its worker processes."""

    def __init__(self, planned: PlannedModel, workers: Sequence[Child]) -> None:
        self.planned = planned
        self.workers = workers
        self.is_leaving = False

    @property
    def is_hopeless(self) -> bool:
        return all(child.is_hopeless for child in self.workers)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for child in self.workers:
                group.create_task(child.run())

    def stop(self) -> None:
        self.is_leaving = True
        for child in self.workers:
            child.stop()

    def hurry(self) -> None:
        for child in self.workers:
            child.hurry()


ServedModel: TypeAlias = ServedHere | ServedElsewhere


class Lineup:
    def __init__(self, group: asyncio.TaskGroup, build: Callable[[PlannedModel], ServedModel]) -> None:
        self._group = group
        self._build = build
        self._tasks: dict[ServedModel, asyncio.Task[None]] = {}

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(tuple(self._tasks))

    @property
    def planned(self) -> list[PlannedModel]:
        """What stays: models that are leaving no longer count."""
        return [model.planned for model in self if not model.is_leaving]

    @property
    def workers(self) -> list[Child]:
        return [child for model in self if isinstance(model, ServedHere) for child in model.workers]

    @property
    def is_hopeless(self) -> bool:
        """None has come up, and nothing suggests that one will."""
        return all(model.is_hopeless for model in self)

    def add(self, planned: PlannedModel) -> None:
        model = self._build(planned)
        self._tasks[model] = self._group.create_task(model.run())
        self._tasks[model].add_done_callback(lambda _: self._forget(model))

    def remove(self, name: str) -> None:
        """Let everything that answers to `name` finish what it does and go.

        Raises:
            UnknownModel: nothing does.
        """
        leaving = [model for model in self if name in model.planned.entry.served_names]
        if not leaving:
            raise UnknownModel(name, [known for planned in self.planned for known in planned.entry.served_names])
        for model in leaving:
            model.stop()
            self._forget(model)

    async def stop(self, grace_s: float) -> None:
        """Let all of them finish, for at most `grace_s` seconds."""
        for model in self:
            model.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=grace_s)
            self.hurry()
            await asyncio.gather(*late)

    def hurry(self) -> None:
        for model in self:
            model.hurry()

    def _forget(self, model: ServedModel) -> None:
        """Drop it if it was asked to leave and is gone. One that failed stays, for people to see and remove."""
        task = self._tasks.get(model)
        if model.is_leaving and task and task.done():
            del self._tasks[model]


class WorkerNames:
    """`worker-vicuna-7b-1`, `-2`, …: what a worker and its log file are called."""

    def __init__(self) -> None:
        self._counters: dict[str, Iterator[int]] = {}

    def next(self, label: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", label)
        return f"worker-{plain}-{next(self._counters.setdefault(plain, itertools.count(1)))}"
