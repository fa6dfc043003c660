"""`fastchat register`: announce an OpenAI-compatible server that does not announce itself (vLLM, Ollama, a cloud)."""

import asyncio
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import aiohttp
from pydantic_settings import SettingsConfigDict

from fastchat.client.endpoint_file import read_endpoint_file
from fastchat.client.registration import Registration
from fastchat.core import logs
from fastchat.core.errors import SetupError
from fastchat.core.serving import run
from fastchat.core.settings import Items, Settings, setting
from fastchat.protocol.control import TOKEN_ENV, Announcement, ServedModel


class RegisterSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_REGISTER_")

    controller_address: str = setting("http://localhost:21001", "controller to tell", "--controller", metavar="URL")
    worker_name: str = setting("", "address of the server, with or without /v1", "--worker-address", metavar="URL")
    model_names: Items = setting((), "names to answer to (default: what the server's /v1/models lists)")
    upstream_model: str | None = setting(None, "the server's own name for the model, where it differs")
    capacity: int = setting(8, "requests it answers at the same time", metavar="N")
    api_key: str | None = setting(None, "key the server wants; env:NAME reads it from the environment", metavar="KEY")
    register_api_endpoint_file: Path | None = setting(
        None, "announce the models of this JSON file instead", "--register", metavar="FILE"
    )
    token: str | None = setting(None, "the controller's secret; better set by environment", env=TOKEN_ENV)


def main(argv: Sequence[str] | None = None) -> None:
    settings = RegisterSettings.from_argv(
        argv, prog="fastchat register", description="Announce an OpenAI-compatible server for as long as this runs."
    )
    if settings.register_api_endpoint_file is None and not settings.worker_name.startswith(("http://", "https://")):
        raise SetupError(f"--worker-name takes the address of a server, http://…; given: {settings.worker_name!r}.")
    logs.configure()
    run(_register(settings))


async def _register(settings: RegisterSettings) -> None:
    async with aiohttp.ClientSession() as session:
        registrations = [
            Registration(session, settings.controller_address, partial(_same, announcement), settings.token)
            for announcement in await _announcements(session, settings)
        ]
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as group:
            for registration in registrations:
                group.create_task(registration.run())
            await stop.wait()
            for registration in registrations:
                registration.leave()


def _same(announcement: Announcement) -> Announcement:
    return announcement


async def _announcements(session: aiohttp.ClientSession, settings: RegisterSettings) -> list[Announcement]:
    if settings.register_api_endpoint_file:
        entries = read_endpoint_file(settings.register_api_endpoint_file)
        return [entry.announcement(name) for name, entry in entries.items()]
    url = settings.worker_name.rstrip("/").removesuffix("/v1")
    key = _key(settings.api_key)
    names = settings.model_names or await _names(session, url, key)
    models = tuple(ServedModel(name=name, upstream_name=settings.upstream_model) for name in names)
    return [Announcement(url=url, models=models, capacity=settings.capacity, api_key=key)]


def _key(given: str | None) -> str | None:
    if given is None or not given.startswith("env:"):
        return given
    value = os.environ.get(given[4:])
    if value is None:
        raise SetupError(f"--api-key names the environment variable {given[4:]}, which is not set.")
    return value


async def _names(session: aiohttp.ClientSession, url: str, key: str | None) -> Sequence[str]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        async with session.get(f"{url}/v1/models", headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as reply:
            reply.raise_for_status()
            return [model["id"] for model in (await reply.json())["data"]]
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise SetupError(
            f"{url}/v1/models did not say which models there are ({reason}). Give --model-names."
        ) from None
