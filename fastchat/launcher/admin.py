"""The control socket of a running `fastchat up`: what `fastchat models` talks to.

    GET    /status            → Status
    GET    /models            → {"models": [ModelStatus, …]}
    POST   /models            an entry as in fastchat.yaml → 202; it is being started
    DELETE /models/{name}     → 202; it finishes what it does and goes

A Unix socket that only its owner may open; whoever can open it could stop our processes anyway.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import uvicorn
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastchat.core.errors import FastChatError, RequestError, SetupError
from fastchat.core.places import run_dir
from fastchat.launcher.config import ModelEntry
from fastchat.launcher.monitor import Status
from fastchat.launcher.problems import ConfigProblems, problems_of

_ENTRY: TypeAdapter[ModelEntry] = TypeAdapter(ModelEntry)


class RunningSystem(Protocol):
    """What the control socket commands."""

    async def status(self) -> Status: ...

    async def add(self, entry: ModelEntry) -> None:
        """
        Raises:
            SetupError: it does not fit.
        """
        ...

    def remove(self, name: str) -> None:
        """
        Raises:
            UnknownModel: there is none of this name.
        """
        ...


def socket_path(port: int) -> Path:
    return run_dir() / f"up-{port}.sock"


def admin_app(system: RunningSystem) -> Starlette:
    async def status(request: Request) -> Response:
        return JSONResponse((await system.status()).model_dump(mode="json"))

    async def models(request: Request) -> Response:
        return JSONResponse({"models": (await system.status()).model_dump(mode="json")["models"]})

    async def add(request: Request) -> Response:
        try:
            entry = _ENTRY.validate_json(await request.body())
        except ValidationError as error:
            raise ConfigProblems(problems_of(error)) from None
        await system.add(entry)
        return JSONResponse({"names": entry.served_names}, 202)

    async def remove(request: Request) -> Response:
        system.remove(request.path_params["name"])
        return Response(status_code=202)

    routes = [
        Route("/status", status),
        Route("/models", models),
        Route("/models", add, methods=["POST"]),
        Route("/models/{name:path}", remove, methods=["DELETE"]),
    ]
    return Starlette(routes=routes, exception_handlers={RequestError: _refuse, SetupError: _refuse})


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, FastChatError)
    return JSONResponse({"error": error.message}, error.status if isinstance(error, RequestError) else 409)


@contextlib.contextmanager
def control_socket(path: Path) -> Iterator[socket.socket]:
    """
    Raises:
        SetupError: another system listens there, or the path cannot hold a socket.
    """
    listener = _open(path)
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _open(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_if_dead(path)
        listener.bind(str(path))
        listener.listen()
    except OSError as error:
        listener.close()
        raise SetupError(f"The control socket {path} cannot be opened: {error}. FASTCHAT_RUN_DIR moves it.") from None
    finally:
        os.umask(umask)
    return listener


def _remove_if_dead(path: Path) -> None:
    """A socket file outlives a process that was killed; one that still answers belongs to somebody."""
    if is_answering(path):
        raise FileExistsError("another `fastchat up` uses it")
    path.unlink(missing_ok=True)


def is_answering(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            return probe.connect_ex(str(path)) == 0
        except OSError:  # a path too long for a socket
            return False


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the supervisor's


async def serve_admin(system: RunningSystem, listener: socket.socket) -> None:
    """Until cancelled."""
    server = _Server(
        uvicorn.Config(
            admin_app(system),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
