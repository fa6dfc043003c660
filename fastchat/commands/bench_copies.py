"""Several engines of a model that `fastchat bench` loads here: workers of ours, each with its part of the GPUs.

As FastChat's `gen_model_answer --num-gpus-total 8 --num-gpus-per-model 2`, which started four through Ray. A cluster is
reached through its controller, or whatever else gives addresses: a `Start` is all that a run asks for.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fastchat.core.errors import SetupError
from fastchat.engines.flags import ModelSettings

if TYPE_CHECKING:
    from fastchat.launcher.processes import Child, Event
    from fastchat.llm_judge.models import Start
    from fastchat.llm_judge.settings import SessionSettings

_LOOK_S = 0.2
_OURS = frozenset({"gpus", "num_gpus"})  # of the flags with which a model is loaded; each copy has its own


def shares(settings: "SessionSettings", found: int | None) -> tuple[tuple[str, ...], ...]:
    """The GPUs of each copy, by number. One copy is no server: its engine is in this process.

    Raises:
        SetupError: the numbers do not fit, or there are not so many GPUs. `found` is how many; None: nobody knows.
    """
    if settings.replicas is not None:
        if settings.num_gpus_total is not None:
            raise SetupError("--replicas is for CPUs, --num-gpus-total for GPUs; give one of them.")
        return ((),) * settings.replicas
    total, each = settings.num_gpus_total or 1, settings.num_gpus or 1
    if settings.num_gpus_total is None or total == each:
        return ((),)
    if total % each:
        raise SetupError(f"--num-gpus-total {total} cannot be shared out in parts of --num-gpus-per-model {each}.")
    visible = settings.gpus or _visible(found)
    if len(visible) < total or settings.device == "cpu":
        raise SetupError(
            f"--num-gpus-total is {total}, but there are {len(visible)} GPUs to be had here"
            f"{' for --device cpu' if settings.device == 'cpu' else ''}. Name them with --gpus if there are more; "
            "on CPUs, --replicas N starts N engines."
        )
    return tuple(tuple(visible[at : at + each]) for at in range(0, total, each))


def _visible(found: int | None) -> Sequence[str]:
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is not None:
        return [number.strip() for number in shown.split(",") if number.strip()]
    return [str(number) for number in range(found or 0)]


def starting(settings: "SessionSettings") -> "Start | None":
    """How models are started that are loaded here; None: as one engine in this process.

    Raises:
        SetupError: as `shares`.
    """
    if settings.num_gpus_total is None and settings.replicas is None:
        return None
    from fastchat.launcher.memory import gpu_count

    parts = shares(settings, gpu_count())
    if len(parts) == 1:
        return None

    @asynccontextmanager
    async def start(model: str, place: str) -> AsyncIterator[Sequence[str]]:
        async with _workers(model, [*_flags(settings), "--model-path", place, "--model-names", model], parts) as urls:
            yield urls

    return start


def _flags(settings: ModelSettings) -> list[str]:
    """What was said of loading a model, for a worker."""
    arguments: list[str] = []
    for name, field in ModelSettings.model_fields.items():
        value = getattr(settings, name)
        if name in _OURS or value == field.get_default(call_default_factory=True):
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            arguments.append(flag)
        elif isinstance(value, list):
            arguments += [part for each in value for part in (flag, each)]
        else:
            arguments += [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
    return arguments


@asynccontextmanager
async def _workers(
    model: str, arguments: Sequence[str], parts: Sequence[Sequence[str]]
) -> AsyncIterator[Sequence[str]]:
    """
    Raises:
        SetupError: one does not start; with its last words.
    """
    from fastchat.core.serving import Listener
    from fastchat.launcher.parent import FD_ENV, ParentPipe
    from fastchat.launcher.processes import Child, Command

    async with AsyncExitStack() as opened:
        logs = Path(opened.enter_context(TemporaryDirectory(prefix="fastchat-bench-")))
        parent = ParentPipe()
        opened.callback(parent.close)
        children, urls = [], []
        for number, gpus in enumerate(parts, 1):
            listener = Listener("127.0.0.1", 0)
            listener.socket.listen()
            opened.callback(listener.socket.close)
            own = ["--gpus", ",".join(gpus), "--num-gpus", str(len(gpus))] if gpus else []
            fds = (parent.read_fd, listener.socket.fileno())
            where = ["--fd", str(fds[1]), "--no-register"]
            argv = (sys.executable, "-P", "-m", "fastchat", "worker", *arguments, *own, *where)
            environ = {name: value for name, value in os.environ.items() if not name.startswith("FASTCHAT_WORKER_")}
            environ[FD_ENV] = str(parent.read_fd)
            child = Child(Command(f"{model.replace('/', '--')}-{number}", argv, environ, fds, logs), _nothing)
            children.append(child)
            urls.append(listener.url)
            opened.push_async_callback(_ended, child, asyncio.create_task(child.run()))
        await asyncio.gather(*(_ready(child, url) for child, url in zip(children, urls, strict=True)))
        yield urls


def _nothing(_: "Event") -> None:
    """Whoever waits looks at the child itself."""


async def _ready(child: "Child", url: str) -> None:
    """It listens from the beginning, and answers when the model is loaded."""
    import aiohttp

    async with aiohttp.ClientSession() as session:
        asking = asyncio.ensure_future(session.get(f"{url}/v1/models", timeout=aiohttp.ClientTimeout()))
        try:
            while not asking.done():
                await asyncio.wait([asking], timeout=_LOOK_S)
                if child.is_hopeless:
                    raise SetupError(f"{child.command.name} does not start.\n" + "\n".join(child.log.last_lines()))
            (await asking).release()
        finally:
            asking.cancel()


async def _ended(child: "Child", life: "asyncio.Task[None]") -> None:
    child.stop()
    await life
