"""What commands that ask models can be told: which models, where, how many at a time, at what price."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import setting
from fastchat.engines.flags import ModelSettings
from fastchat.model import builtin
from fastchat.model.sources import default_name, locate
from fastchat.protocol.control import TOKEN_ENV

if TYPE_CHECKING:
    import aiohttp

    from fastchat.client.endpoints import Endpoint
    from fastchat.client.fleet import Fleet
    from fastchat.client.pipe import Pipe
    from fastchat.llm_judge.asking import Ask, Call, Reply
    from fastchat.llm_judge.models import LocalModels, Start
    from fastchat.llm_judge.parameters import KnownFields

_USUAL_API = "http://localhost:8000"
_OPENAI = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class Reach:
    """The models that were found. `free` holds those that nobody bills."""

    served: Sequence[str]
    free: frozenset[str]
    local: "LocalModels"
    pipe: "Pipe"  # to those that are served, for what is no chat
    known: "KnownFields"
    _fleet: "Fleet"
    _ask_served: "Ask"
    _with_schema: frozenset[str]

    @property
    def contestants(self) -> Sequence[str]:
        """Who answers where nobody is named."""
        return [*self.local.names] or self.served

    def find(self, model: str) -> str | None:
        """The name a model goes by in files, where it may have been given by its path; None: nobody has it."""
        return next((name for name in (model, default_name(model)) if name in {*self.local.names, *self.served}), None)

    def check(self, model: str) -> None:
        """
        Raises:
            SetupError: nobody has it.
        """
        if self.find(model) is None:
            served = ", ".join(self.served[:20]) or "none"
            raise SetupError(
                f"There is no model {model!r} to ask. Served: {served}. Name a server with --api-url, --controller or "
                f"--register, set OPENAI_API_KEY for OpenAI's, or load one here: a path, a name on the hub, "
                f"{builtin.ALIASES[0]!r}."
            )

    def holds_to_schema(self, model: str) -> bool:
        """It is known that the model can be made to answer in JSON of a given form."""
        return self.local.holds_to_schema(model) if model in self.local.names else model in self._with_schema

    def addresses(self, model: str) -> Sequence[str]:
        """Where calls of it go at this moment; an engine that is loaded here is one, too."""
        if model in self.local.names:
            return self.local.addresses(model)
        return [endpoint.url for endpoint in self.endpoints(model)]

    def endpoints(self, model: str) -> "Sequence[Endpoint]":
        """Who serves it; nobody, if it is loaded here."""
        return _serving(self._fleet, model)

    async def ask(self, call: "Call") -> "Reply":
        """
        Raises:
            FastChatError: as `client.chat` and engines.
        """
        return await (self.local.ask if call.model in self.local.names else self._ask_served)(call)


class ReachSettings(ModelSettings):
    """Models of a server, or loaded into this process."""

    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    api_url: str | None = setting(
        None,
        f"server that answers OpenAI's API (default: {_USUAL_API}, if it answers)",
        "--openai-api-base",
        metavar="URL",
    )
    controller_address: str | None = setting(
        None, "controller whose workers are asked", "--controller", metavar="ADDRESS"
    )
    register_api_endpoint_file: Path | None = setting(
        None, "JSON file of models that others serve", "--register", metavar="FILE"
    )
    api_key: str | None = setting(None, "key for the server; better set by environment", env="FASTCHAT_API_KEY")
    token: str | None = setting(None, "the controller's secret; better set by environment", env=TOKEN_ENV)
    model_path: str | None = setting(
        None, "load this model here: a .gguf file, a folder, a name on the hub (models that --models names by path too)"
    )
    model_id: str | None = setting(None, "what to call it (default: the last part of its path)", metavar="NAME")
    num_gpus: PositiveInt | None = setting(
        None, "how many GPUs to spread the weights over", "--num-gpus-per-model", metavar="N"
    )
    parallel: PositiveInt = setting(16, "calls at the same time to each server, or engine here", metavar="N")
    budget: NonNegativeFloat | None = setting(
        None, "spend no more US dollars than this, all runs into the folder together", metavar="USD"
    )
    prices: Path | None = setting(None, "TOML file of prices, read before ours", metavar="FILE")
    cache: Path | None = setting(
        None, "folder of replies to share among runs (default: .cache in the output folder)", metavar="FOLDER"
    )
    caching: bool = setting(True, "take what was asked before from the cache")

    @asynccontextmanager
    async def open_reach(self, wanted: Sequence[str], start: "Start | None" = None) -> AsyncIterator[Reach]:
        """What is served, and of `wanted` what can be loaded here instead; all is closed with the block.

        With `start`, what is loaded here is started as servers, several of each, in place of an engine in this process.

        Raises:
            SetupError: a server that was named does not answer.
        """
        import aiohttp

        from fastchat.client.chat import ChatClient
        from fastchat.client.fleet import Fleet
        from fastchat.client.http1 import Http1Client
        from fastchat.client.pipe import Pipe
        from fastchat.client.servers import ask_server
        from fastchat.llm_judge.models import Copies, LocalModels, served
        from fastchat.llm_judge.parameters import KnownFields

        fleet = Fleet()
        async with AsyncExitStack() as opened:
            session = await opened.enter_async_context(aiohttp.ClientSession())
            await self._find(fleet, session, opened, wanted)
            pipe = Pipe(fleet, Http1Client(connect_s=10, idle_s=600))
            opened.push_async_callback(pipe.close)
            here = self._places([name for name in wanted if name not in fleet.models], is_alone=not fleet.models)
            loaders = {name: partial(self.load, place, number=at) for at, (name, place) in enumerate(here.items())}
            known = KnownFields(lambda model: [_whereabouts(each, model) for each in _serving(fleet, model)])
            ask_served = served(ChatClient(fleet, pipe, api_key=self.api_key), known)

            async def add(model: str, addresses: Sequence[str]) -> None:
                fleet.update([await ask_server(session, each) for each in addresses], source=f"copies of {model}")

            copies = None if start is None else Copies(here, start, add, ask_served)
            local = LocalModels(loaders, copies)
            opened.push_async_callback(local.close)
            billed_to_nobody = local.names | {name for name in fleet.models if _runs_here(fleet, name)}
            with_schema = {name for name, model in fleet.models.items() if "json_schema" in model.features}
            yield Reach(
                list(fleet.models), billed_to_nobody, local, pipe, known, fleet, ask_served, frozenset(with_schema)
            )

    def _places(self, wanted: Sequence[str], *, is_alone: bool) -> Mapping[str, str]:
        """Where models are that are loaded here, by the names they go by. Where there is no other, the built-in one."""
        places = {} if self.model_path is None else {self.model_id or default_name(self.model_path): self.model_path}
        places |= {default_name(name): name for name in wanted if name not in places and _is_local(name)}
        return {builtin.NAME: builtin.NAME} if is_alone and not places and not wanted else places

    async def _find(
        self, fleet: "Fleet", session: "aiohttp.ClientSession", opened: AsyncExitStack, wanted: Sequence[str]
    ) -> None:
        from fastchat.client.servers import ask_server

        if self.register_api_endpoint_file is not None:
            from fastchat.client.endpoint_file import REGISTERED, load_endpoints

            fleet.update(load_endpoints(self.register_api_endpoint_file), source=REGISTERED)
        if self.controller_address is not None:
            await self._follow(fleet, session, opened, self.controller_address)
        if self.api_url is not None:
            fleet.update([await ask_server(session, self.api_url, self.api_key)], source="api")
        if not (self.register_api_endpoint_file or self.controller_address or self.api_url):
            await self._find_usual(fleet, session, wanted)

    async def _find_usual(self, fleet: "Fleet", session: "aiohttp.ClientSession", wanted: Sequence[str]) -> None:
        """The system on this machine; and OpenAI, as FastChat had it, if its key is set and nobody else has a model."""
        from fastchat.client.servers import ask_server

        if self.model_path is None or not all(map(_is_local, wanted)):
            with suppress(SetupError):  # perhaps nothing runs here
                fleet.update([await ask_server(session, _USUAL_API, self.api_key)], source="api")
        key = os.environ.get("OPENAI_API_KEY")
        if key and any(name not in fleet.models and not _is_local(name) for name in wanted):
            openai = await ask_server(session, os.environ.get("OPENAI_BASE_URL") or _OPENAI, key)
            fleet.update([replace(openai, api_key=key)], source="openai")

    async def _follow(
        self, fleet: "Fleet", session: "aiohttp.ClientSession", opened: AsyncExitStack, address: str
    ) -> None:
        """Workers may come and go while a long run asks them."""
        import aiohttp

        from fastchat.client.discovery import Discovery

        discovery = Discovery(fleet, session, address, self.token)
        try:
            async with asyncio.timeout(5):
                while not fleet.is_informed or not discovery.is_connected:
                    discovery.apply(await discovery.fetch())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SetupError(
                f"The controller {address} did not answer: {str(error) or type(error).__name__}. Is it running?"
            ) from None
        following = asyncio.create_task(discovery.run())
        opened.push_async_callback(_ended, following)


class SessionSettings(ReachSettings):
    """What a run into a folder can be told besides."""

    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    parallel_total: PositiveInt = setting(256, "calls at the same time to all servers together", metavar="N")
    max_attempts: PositiveInt = setting(
        9, "how often, in all runs, a verdict is asked for before it is given up", metavar="N"
    )
    retry_failed: bool = setting(False, "ask for verdicts again that were given up")
    batch: bool = setting(False, "send calls as batches, at the half price of OpenAI and Anthropic; may take a day")
    batch_poll_s: PositiveFloat = setting(30.0, "seconds between two looks at a batch", metavar="S")
    num_gpus_total: PositiveInt | None = setting(
        None, "GPUs for a model that is loaded here: an engine for every --num-gpus-per-model of them", metavar="N"
    )
    replicas: PositiveInt | None = setting(None, "engines of a model that is loaded here on CPUs", metavar="N")


def _serving(fleet: "Fleet", model: str) -> "Sequence[Endpoint]":
    tracked = (item.endpoint for item in fleet.endpoints)
    return [endpoint for endpoint in tracked if model in endpoint.models and not endpoint.is_draining]


def _whereabouts(endpoint: "Endpoint", model: str) -> tuple[str, str]:
    """Host, and what the model is called there."""
    return urlsplit(endpoint.url).hostname or "", endpoint.models[model].upstream_name or model


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


def _is_local(name: str) -> bool:
    if name in builtin.ALIASES:
        return True
    try:
        locate(name)
    except SetupError:
        return False
    return True


def _runs_here(fleet: "Fleet", name: str) -> bool:
    """On workers of ours, as their controller tells it."""
    from fastchat.client.endpoints import HOSTED

    engine = fleet.describe(name).engine
    return engine is not None and engine != HOSTED
