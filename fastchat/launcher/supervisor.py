"""The life of `fastchat up`: bring a system up, say when it is ready, keep it up until asked to stop.

Controller, gateway, web page and workers are child processes, so that a crash of one is nobody else's.
"""

import asyncio
import json
import shlex
import signal
import socket
from collections.abc import Sequence
from contextlib import closing

import aiohttp

from fastchat.core.processes import record_of_process
from fastchat.launcher.admin import control_socket, serve_admin, socket_path
from fastchat.launcher.command_lines import CommandLines
from fastchat.launcher.config import Config, LocalModel
from fastchat.launcher.parent import ParentPipe
from fastchat.launcher.plan import PlannedModel
from fastchat.launcher.ports import Ports
from fastchat.launcher.processes import Event
from fastchat.launcher.system import System
from fastchat.launcher.views import View

READY_POLL_S = 0.25
LOG_CHECK_S = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """`failure` says why it had to end by itself; None if it was asked to."""

    def __init__(self, config: Config, models: Sequence[PlannedModel], view: View) -> None:
        self.failure: str | None = None
        self._config = config
        self._models = models
        self._view = view
        self._system: System | None = None
        self._is_ready = False
        self._is_ending = asyncio.Event()

    async def run(self) -> None:
        """Until asked to stop by a signal, or until there is no point in going on.

        Raises:
            SetupError: a port is taken, or the logs or the control socket cannot be opened.
        """
        with closing(Ports.open(self._config)) as ports, closing(ParentPipe()) as pipe:
            commands = CommandLines.prepare(self._config, ports, pipe.read_fd)
            record = record_of_process("up", ports.gateway.url)
            with control_socket(socket_path(ports.gateway.port)) as control, record:
                async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
                    await self._run(commands, session, group, control)

    async def _run(
        self, commands: CommandLines, session: aiohttp.ClientSession, group: asyncio.TaskGroup, control: socket.socket
    ) -> None:
        system = System(commands, self._models, session=session, group=group, report=self._on_event)
        self._system = system
        beside = (
            self._view.follow(system.models),
            self._tell_when_ready(session, commands),
            _keep_logs_small(system),
            serve_admin(system, control),
        )
        tasks = [group.create_task(work) for work in beside]
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self.ask_to_stop)
        await self._is_ending.wait()
        await system.stop()
        for task in tasks:
            task.cancel()

    def ask_to_stop(self) -> None:
        """The first time everything may finish what it does; the second time nothing may."""
        if self._is_ending.is_set() and self._system:
            self._view.say("Stopping at once.")
            self._system.hurry()
        else:
            self._view.say("Stopping; what runs may finish. Ctrl-C again to stop at once.")
            self._is_ending.set()

    def _on_event(self, event: Event) -> None:
        self._view.report(event)
        if event.kind in ("crashed", "failed") and not self._is_ready and self._system:
            self.failure = self.failure or self._system.hopelessness
            if self.failure:
                self._is_ending.set()

    async def _tell_when_ready(self, session: aiohttp.ClientSession, commands: CommandLines) -> None:
        url = commands.ports.gateway.url
        ours = [planned.label for planned in self._models if isinstance(planned.entry, LocalModel)]
        # What others run answers at once, which says nothing of what is still being loaded here.
        awaited = ours or [planned.label for planned in self._models]
        while True:
            if ready := set(awaited) & set(await _ready_models(session, url)):
                break
            await asyncio.sleep(READY_POLL_S)
        self._is_ready = True
        first = next(label for label in awaited if label in ready)
        self._view.say(f"\nReady at {url}\n\n{curl_line(url, first, commands.needs_key)}\n")
        if loading := [label for label in ours if label not in ready]:
            self._view.say(f"Not ready yet: {', '.join(loading)}")
        if commands.needs_key and commands.ports.web and not commands.config.logins_file:
            self._view.say(
                "The web page asks for no key: whoever reaches it can chat. Name a logins_file, or use --no-web."
            )
        self._view.say(f"Logs: {commands.log_dir}")


async def _keep_logs_small(system: System) -> None:
    while True:
        await asyncio.sleep(LOG_CHECK_S)
        for log in system.logs:
            log.keep_small()


async def _ready_models(session: aiohttp.ClientSession, url: str) -> list[str]:
    """Names of the models that answer; none while the gateway does not."""
    try:
        async with session.get(f"{url}/ready", timeout=aiohttp.ClientTimeout(total=5)) as answer:
            return list((await answer.json())["models"]) if answer.status == 200 else []
    except (aiohttp.ClientError, TimeoutError):
        return []


def curl_line(url: str, model: str, needs_key: bool) -> str:
    """A first request to paste into a shell."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Say hello."}]})
    key = '-H "Authorization: Bearer $FASTCHAT_API_KEY" ' if needs_key else ""
    return f"curl {url}/v1/chat/completions {key}-H 'Content-Type: application/json' -d {shlex.quote(body)}"
