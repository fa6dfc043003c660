"""Engines are loaded once a session; they live in the session's event loop, and so do the tests that use them."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from fastchat.engines.base import Engine, EngineInfo
from fastchat.engines.registry import EngineOptions, load_engine
from fastchat.model import builtin
from tests.engines import vllm_server
from tests.engines.openai_server_engine import VLLM_DEVIATIONS, OpenAIServerEngine


def installed(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (
            isinstance(item, pytest.Function)
            and hasattr(item, "callspec")
            and item.callspec.params.get("engine") == "vllm"
        ):
            name = item.name.replace("vllm-", "").replace("[vllm]", "")
            if reason := VLLM_DEVIATIONS.get(name):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


class LoadedEngines:
    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._servers = ExitStack()

    async def get(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = await self._load(name)
        return self._engines[name]

    async def _load(self, name: str) -> Engine:
        if name == "vllm":
            return await self._launch_vllm()
        if name == "hf-t5":
            from tests.engines import tiny_models

            folder = Path(self._servers.enter_context(tempfile.TemporaryDirectory()))
            options = EngineOptions(str(tiny_models.t5(folder)), context_length=1024, slots=4, dtype="float32")
            return await load_engine("hf", options)
        return await load_engine(name, _options(name))

    async def _launch_vllm(self) -> Engine:
        folder = Path(self._servers.enter_context(tempfile.TemporaryDirectory()))
        flags = ("--model-names", "builtin", "--context-length", "512", "--limit-worker-concurrency", "4")
        tools = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
        server = self._servers.enter_context(vllm_server.running(folder, *flags, *tools))
        features = frozenset({"chat", "completions", "json_schema", "logprobs", "tools"})
        info = EngineInfo("vllm", context_length=512, slots=4, features=features)
        # It closes connections after a while; whether one is still good is not what is tested.
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        return OpenAIServerEngine(session, server.url, "builtin", info)

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()
        self._servers.close()


def _options(name: str) -> EngineOptions:
    """A small context and few slots, so that filling them takes little time."""
    if name == "hf":
        # In float32 the rounding that depends on who is computed beside one never decides between two tokens.
        path = str(builtin.ensure_safetensors())
        return EngineOptions(path, context_length=512, slots=4, dtype="float32")
    path = "scripted" if name == "scripted" else str(builtin.ensure())
    return EngineOptions(path, context_length=512, slots=4)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engines() -> AsyncIterator[LoadedEngines]:
    engines = LoadedEngines()
    yield engines
    await engines.close()


# The next engine is one more line here, and its options above.
@pytest_asyncio.fixture(
    scope="session",
    loop_scope="session",
    params=[
        pytest.param("scripted", id="scripted"),
        pytest.param("llamacpp", id="llamacpp", marks=pytest.mark.model),
        pytest.param("hf", id="hf", marks=[pytest.mark.model, installed("transformers")]),
        pytest.param("hf-t5", id="hf-t5", marks=installed("transformers")),
        pytest.param("openvino", id="openvino", marks=[pytest.mark.model, installed("openvino_genai")]),
        pytest.param("vllm", id="vllm", marks=vllm_server.VLLM_MARKS),
    ],
)
async def engine(request: pytest.FixtureRequest, engines: LoadedEngines) -> Engine:
    """Every engine in turn."""
    return await engines.get(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llama(engines: LoadedEngines) -> Engine:
    return await engines.get("llamacpp")
