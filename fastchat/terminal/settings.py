"""What every command that talks to one model can be told: which model, where, and how it samples."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from pydantic_settings import SettingsConfigDict

from fastchat.client.chat import ChatClient, ChatParameters
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe
from fastchat.core.errors import FastChatError, SetupError
from fastchat.core.settings import setting
from fastchat.engines.flags import ModelSettings
from fastchat.model import builtin
from fastchat.model.sources import default_name
from fastchat.terminal.parameters import changed
from fastchat.terminal.talkers import EngineTalker, ServerTalker, Talker

_SAMPLING: Mapping[str, float] = {"temperature": 0.7, "max_tokens": 512}
_T5_PENALTY = 1.2  # FastChat's: small models of this family repeat themselves


class TalkSettings(ModelSettings):
    """A model in this process or on a server. Where nothing is said of sampling, a server decides for itself."""

    model_config = SettingsConfigDict(env_prefix="FASTCHAT_CHAT_")

    target: str | None = setting(
        None,
        "a .gguf file, a folder with weights, a name on the hub, or the address of a server, http://… "
        "(default: the built-in model)",
        metavar="MODEL|URL",
        positional=True,
    )
    model_path: str | None = setting(None, "the same, as FastChat's flag", metavar="PATH")
    model: str | None = setting(
        None, "which model of a server, or which adapter, answers (default: the first)", metavar="NAME"
    )
    register_api_endpoint_file: Path | None = setting(
        None, "JSON file of models that others serve; MODEL is one of its names", "--register", metavar="FILE"
    )
    api_key: str | None = setting(None, "key for a server; better set by environment", env="FASTCHAT_API_KEY")
    temperature: float | None = setting(
        None, "0 always takes the likeliest token (default: 0.7; the built-in model's is 0.2)", metavar="T"
    )
    top_p: float | None = setting(None, "choose among the likeliest tokens that make up this share", metavar="P")
    repetition_penalty: float | None = setting(
        None, "above 1 repeats less (default: 1; 1.2 for T5)", "--repetition_penalty", metavar="X"
    )
    max_new_tokens: int | None = setting(
        None, "longest answer (default: 512; the built-in model's is 1024)", metavar="N"
    )
    seed: int | None = setting(None, "the same answer again for the same seed")

    @property
    def place(self) -> str:
        """Path, name or address of what answers."""
        # `--model` was a short form of `--model-path` before servers could be asked.
        return self.target or self.model_path or self.model or "builtin"

    @property
    def is_served(self) -> bool:
        """Not in this process."""
        return self.register_api_endpoint_file is not None or self.place.startswith(("http://", "https://"))

    def parameters(self) -> ChatParameters:
        """
        Raises:
            SetupError: a value is impossible.
        """
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "repetition_penalty": self.repetition_penalty,
            "max_tokens": self.max_new_tokens,
            "seed": self.seed,
        }
        said = {name: value for name, value in given.items() if value is not None}
        try:
            return changed(ChatParameters(), {**self._usual(), **said})
        except FastChatError as error:
            raise SetupError(error.message) from None

    def _usual(self) -> Mapping[str, float]:
        if self.is_served:
            return {}
        if self.place in builtin.ALIASES:
            return builtin.SAMPLING
        return (
            {**_SAMPLING, "repetition_penalty": _T5_PENALTY} if "t5" in default_name(self.place).lower() else _SAMPLING
        )

    @asynccontextmanager
    async def open_talker(self, progress: TextIO) -> AsyncIterator[Talker]:
        """Who answers; unloaded when the block is left. `progress` hears that loading takes a while.

        Raises:
            SetupError: the model cannot be loaded, or the server not be asked.
        """
        if self.is_served:
            async with self._server() as talker:
                yield talker
            return
        self.choose_gpus()
        name = default_name(self.place)
        progress.write(f"Loading {name} …\n")
        progress.flush()
        engine = await self.load(self.place, slots=1)
        try:
            yield _chosen(EngineTalker(engine, name), self.model if self.model != self.place else None)
        finally:
            await engine.close()

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[Talker]:
        fleet = Fleet()
        fleet.update(await self._endpoints())
        pipe = Pipe(fleet, Http1Client(connect_s=10, idle_s=600))
        try:
            yield _chosen(ServerTalker(ChatClient(fleet, pipe, api_key=self.api_key)), self._served_name)
        finally:
            await pipe.close()

    @property
    def _served_name(self) -> str | None:
        named_first = None if self.register_api_endpoint_file is None else self.target
        return self.model or named_first

    async def _endpoints(self) -> list[Endpoint]:
        if self.register_api_endpoint_file is not None:
            from fastchat.client.endpoint_file import load_endpoints

            return load_endpoints(self.register_api_endpoint_file)
        import aiohttp  # a model in this process needs none

        from fastchat.client.servers import ask_server

        async with aiohttp.ClientSession() as session:
            return [await ask_server(session, self.place, self.api_key)]


def _chosen(talker: Talker, model: str | None) -> Talker:
    try:
        talker.switch(model or talker.model)
    except FastChatError as error:
        raise SetupError(error.message) from None
    return talker
