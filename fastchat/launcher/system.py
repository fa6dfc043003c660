"""Everything that runs: the three servers and the models, with what one can do to them while they run."""

import asyncio
from collections.abc import Callable, Sequence

import aiohttp

from fastchat.client.registration import Registration
from fastchat.core.errors import SetupError
from fastchat.launcher.command_lines import CommandLines
from fastchat.launcher.config import LocalModel, ModelEntry
from fastchat.launcher.hosted import ServedElsewhere, announcement_of
from fastchat.launcher.lineup import Lineup, ServedHere, ServedModel, WorkerNames
from fastchat.launcher.log_file import LogFile
from fastchat.launcher.monitor import ModelStatus, Monitor, Status
from fastchat.launcher.plan import PlannedModel, fetch, misfits, survey, this_machine
from fastchat.launcher.problems import ConfigProblems
from fastchat.launcher.processes import STOP_GRACE_S, Child, Command, Event


class System:
    """Starts with its construction; its tasks live in `group`. It never touches a request."""

    def __init__(
        self,
        commands: CommandLines,
        models: Sequence[PlannedModel],
        *,
        session: aiohttp.ClientSession,
        group: asyncio.TaskGroup,
        report: Callable[[Event], None],
    ) -> None:
        self._commands = commands
        self._session = session
        self._group = group
        self._report = report
        self._is_stopping = False
        self._worker_names = WorkerNames()
        self._tasks: dict[Child, asyncio.Task[None]] = {}
        self._monitor = Monitor(session, commands.ports.controller.url, commands.token)
        self._controller = self._start(commands.for_controller())
        self._gateway = self._start(commands.for_gateway())
        web = commands.ports.web
        self._web = self._start(commands.for_web(web)) if web else None
        self._lineup = Lineup(group, self._build)
        for planned in models:
            self._lineup.add(planned)

    def _start(self, command: Command) -> Child:
        child = Child(command, self._report)
        self._tasks[child] = self._group.create_task(child.run())
        return child

    def _build(self, planned: PlannedModel) -> ServedModel:
        entry = planned.entry
        if not isinstance(entry, LocalModel):
            announcement, url = announcement_of(entry), self._commands.ports.controller.url
            return ServedElsewhere(
                planned, Registration(self._session, url, lambda: announcement, self._commands.token)
            )
        names = [self._worker_names.next(planned.label) for _ in range(planned.replicas)]
        return ServedHere(planned, [Child(self._commands.for_worker(name, entry), self._report) for name in names])

    @property
    def hopelessness(self) -> str | None:
        """Why this will never be ready, if that is so."""
        hopeless = [child.command.name for child in (self._controller, self._gateway) if child.is_hopeless]
        if hopeless:
            reason = f"The {hopeless[0]} does not start."
        elif self._lineup.is_hopeless:
            reason = "No model could be started."
        else:
            return None
        return f"{reason} The logs are in {self._commands.log_dir}."

    @property
    def logs(self) -> list[LogFile]:
        return [child.log for child in (*self._tasks, *self._lineup.workers)]

    async def models(self) -> tuple[ModelStatus, ...]:
        return await self._monitor.look(self._lineup)

    async def status(self) -> Status:
        url, log_dir = self._commands.ports.gateway.url, str(self._commands.log_dir)
        return Status(url=url, log_dir=log_dir, models=await self.models())

    async def add(self, entry: ModelEntry) -> None:
        """
        Raises:
            SetupError: it cannot run here, or not beside what runs already.
        """
        await asyncio.to_thread(fetch, entry)
        planned = await asyncio.to_thread(survey, entry)
        machine = this_machine([child.pid for child in self._lineup.workers if child.pid])
        if problems := misfits([*self._lineup.planned, planned], machine):
            raise ConfigProblems(problems)
        if self._is_stopping:
            raise SetupError("The system is stopping.")
        self._lineup.add(planned)

    def remove(self, name: str) -> None:
        """
        Raises:
            UnknownModel: there is none of this name.
        """
        self._lineup.remove(name)

    async def stop(self) -> None:
        """From the outside inwards, so that everybody can still finish what they began."""
        self._is_stopping = True
        self._commands.ports.gateway.socket.close()  # or newcomers would go on waiting in line
        for child in (self._web, self._gateway):
            if child:
                child.stop()
                await self._tasks[child]
        await self._lineup.stop(STOP_GRACE_S)
        self._controller.stop()
        await self._tasks[self._controller]

    def hurry(self) -> None:
        for child in self._tasks:
            child.hurry()
        self._lineup.hurry()
