"""The other end of the control socket: how `fastchat models` speaks to the system that runs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import TypeAdapter, ValidationError

from fastchat.core.errors import SetupError
from fastchat.core.places import run_dir
from fastchat.launcher.admin import is_answering, socket_path
from fastchat.launcher.config import HostedModel, ModelEntry, Surroundings
from fastchat.launcher.monitor import ModelStatus, Status
from fastchat.launcher.problems import ConfigProblems, problems_of

POLL_S = 0.3

_ENTRY: TypeAdapter[ModelEntry] = TypeAdapter(ModelEntry)


def find_socket(port: int | None) -> Path:
    """The control socket of the system on `port`, or of the only one there is.

    Raises:
        SetupError: none runs, or several do.
    """
    if port is not None:
        path = socket_path(port)
        if not is_answering(path):
            raise SetupError(f"No `fastchat up` runs on port {port}: nobody answers at {path}.")
        return path
    found = [path for path in sorted(run_dir().glob("up-*.sock")) if is_answering(path)]
    if not found:
        raise SetupError(f"No `fastchat up` runs here: there is no control socket in {run_dir()} that answers.")
    if len(found) > 1:
        ports = ", ".join(path.stem.removeprefix("up-") for path in found)
        raise SetupError(f"Several systems run here; choose one with --port: {ports}.")
    return found[0]


def wire_entry(given: Mapping[str, Any], surroundings: Surroundings) -> dict[str, Any]:
    """A model entry as the control socket takes it: paths and `env:` keys mean what they mean here, not there.

    Raises:
        SetupError: it is no model entry.
    """
    try:
        entry = _ENTRY.validate_python(given, context=surroundings)
    except ValidationError as error:
        raise ConfigProblems(problems_of(error)) from None
    fields = entry.model_dump(mode="json", exclude_unset=True)
    if isinstance(entry, HostedModel) and entry.api_key:
        fields["api_key"] = entry.api_key.get_secret_value()
    return fields


class Remote:
    """A system that runs. Its refusals come back as SetupError, in its own words."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def status(self) -> Status:
        return Status.model_validate(await self._call("GET", "/status"))

    async def add(self, entry: dict[str, Any]) -> tuple[str, ...]:  # Any: what stands in YAML
        """Returns the names it will be served under."""
        return tuple((await self._call("POST", "/models", entry))["names"])

    async def remove(self, name: str) -> None:
        await self._call("DELETE", f"/models/{quote(name, safe='')}")

    async def follow(self, name: str) -> AsyncIterator[ModelStatus]:
        """How the newest model of this name is doing, again and again, until it is gone."""
        while found := [model for model in (await self.status()).models if name in model.names]:
            yield found[-1]
            await asyncio.sleep(POLL_S)

    async def _call(self, method: str, path: str, body: Any = None) -> Any:  # Any: JSON
        try:
            async with self._session.request(method, f"http://up{path}", json=body) as answer:
                content = await answer.json() if answer.content_type == "application/json" else None
        except aiohttp.ClientConnectorError:
            raise SetupError("The system does not answer: it was killed, or is just ending.") from None
        if answer.status >= 400:
            raise SetupError(content["error"] if content else f"The system answered {answer.status}.")
        return content


@asynccontextmanager
async def connect(port: int | None) -> AsyncIterator[Remote]:
    """
    Raises:
        SetupError: no system runs there.
    """
    connector = aiohttp.UnixConnector(path=str(find_socket(port)))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Remote(session)
