"""The control socket and its client, over a real socket."""

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError, UnknownModel
from fastchat.launcher.admin import control_socket, serve_admin, socket_path
from fastchat.launcher.config import HostedModel, ModelEntry, Surroundings
from fastchat.launcher.monitor import ModelStatus, Status
from fastchat.launcher.remote import Remote, connect, wire_entry

PORT = 8000


class FakeSystem:
    def __init__(self) -> None:
        self.models = [ModelStatus(names=("org/a",), model="a.gguf", engine="llamacpp", state="ready")]
        self.added: list[ModelEntry] = []

    async def status(self) -> Status:
        return Status(url="http://127.0.0.1:8000", log_dir="/logs", models=tuple(self.models))

    async def add(self, entry: ModelEntry) -> None:
        if entry.model == "huge.gguf":
            raise SetupError("models: needs 90.0 GB: huge 90.0; available 8.0 GB.")
        self.added.append(entry)

    def remove(self, name: str) -> None:
        left = [model for model in self.models if name not in model.names]
        if left == self.models:
            raise UnknownModel(name, ["org/a"])
        self.models = left


@pytest.fixture(autouse=True)
def _run_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # pytest's own folders have names too long for a socket
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("FASTCHAT_RUN_DIR", folder)
        yield


@asynccontextmanager
async def running(system: FakeSystem, port: int | None = PORT) -> AsyncIterator[Remote]:
    with control_socket(socket_path(PORT)) as listener:
        serving = asyncio.create_task(serve_admin(system, listener))
        try:
            async with connect(port) as remote:
                yield remote
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def test_the_client_sees_what_the_system_says() -> None:
    system = FakeSystem()
    async with running(system) as remote:
        assert (await remote.status()).models == tuple(system.models)


async def test_the_only_system_is_found_without_its_port() -> None:
    async with running(FakeSystem(), port=None) as remote:
        assert (await remote.status()).url == "http://127.0.0.1:8000"


async def test_a_model_is_added_as_it_was_described() -> None:
    system = FakeSystem()
    surroundings = Surroundings(folder=Path("/"), environ={"KEY": "secret"})
    described = {"endpoint": "http://host/v1", "model": "m", "names": ["n"], "api_key": "env:KEY"}
    async with running(system) as remote:
        names = await remote.add(wire_entry(described, surroundings))

    [entry] = system.added
    assert names == ("n",)
    assert isinstance(entry, HostedModel)
    assert entry.api_key is not None
    assert entry.api_key.get_secret_value() == "secret"


async def test_a_refusal_comes_back_in_the_systems_own_words() -> None:
    async with running(FakeSystem()) as remote:
        with pytest.raises(SetupError, match=r"needs 90\.0 GB: huge 90\.0; available 8\.0 GB"):
            await remote.add({"model": "huge.gguf"})


async def test_a_wrong_description_is_refused_with_what_is_allowed() -> None:
    async with running(FakeSystem()) as remote:
        with pytest.raises(SetupError, match="slot: there is no such key; did you mean 'slots'"):
            await remote.add({"model": "a", "slot": 1})


async def test_a_name_with_a_slash_can_be_removed() -> None:
    system = FakeSystem()
    async with running(system) as remote:
        await remote.remove("org/a")
        seen = [model async for model in remote.follow("org/a")]

    assert (system.models, seen) == ([], [])


async def test_removing_what_is_not_there_says_what_is() -> None:
    async with running(FakeSystem()) as remote:
        with pytest.raises(SetupError, match=r"'b' does not exist\. Models served here: org/a"):
            await remote.remove("b")


async def test_only_its_owner_may_open_the_socket() -> None:
    async with running(FakeSystem()):
        assert stat.S_IMODE(os.stat(socket_path(PORT)).st_mode) == 0o600


async def test_the_socket_is_gone_afterwards() -> None:
    async with running(FakeSystem()):
        pass

    assert not socket_path(PORT).exists()
    with pytest.raises(SetupError, match="No `fastchat up` runs here"):
        async with connect(None):
            pass


async def test_a_second_system_does_not_take_the_socket_over() -> None:
    async with running(FakeSystem()) as remote:
        with pytest.raises(SetupError, match="another `fastchat up` uses it"), control_socket(socket_path(PORT)):
            pass

        assert (await remote.status()).models


async def test_the_socket_of_a_system_that_was_killed_is_taken_over() -> None:
    with control_socket(socket_path(PORT)) as listener:
        listener.close()
        assert socket_path(PORT).exists()

        async with running(FakeSystem()) as remote:
            assert (await remote.status()).models


async def test_a_system_that_was_killed_is_said_to_be_gone() -> None:
    with control_socket(socket_path(PORT)) as listener:
        listener.close()
        for port in (PORT, None):
            with pytest.raises(SetupError, match="No `fastchat up` runs"):
                async with connect(port):
                    pass


async def test_a_system_that_ends_while_one_asks_is_said_to_be_gone() -> None:
    with control_socket(socket_path(PORT)) as listener:
        async with connect(PORT) as remote:
            listener.close()
            with pytest.raises(SetupError, match="does not answer"):
                await remote.status()


async def test_several_systems_are_told_apart_by_port() -> None:
    with (
        control_socket(socket_path(8000)),
        control_socket(socket_path(8001)),
        pytest.raises(SetupError, match="choose one with --port: 8000, 8001"),
    ):
        async with connect(None):
            pass
