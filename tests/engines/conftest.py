"""Engines are loaded once a session; they live in the session's event loop, and so do the tests that use them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from fastchat.engines.base import Engine
from fastchat.engines.registry import EngineOptions, load_engine
from fastchat.model import builtin


class LoadedEngines:
    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}

    async def get(self, name: str) -> Engine:
        if name not in self._engines:
            self._engines[name] = await load_engine(name, _options(name))
        return self._engines[name]

    async def close(self) -> None:
        for engine in self._engines.values():
            await engine.close()


def _options(name: str) -> EngineOptions:
    """A small context and few slots, so that filling them takes little time."""
    path = {"scripted": "scripted", "llamacpp": str(builtin.path())}[name]
    if name == "llamacpp":
        builtin.ensure()
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
    ],
)
async def engine(request: pytest.FixtureRequest, engines: LoadedEngines) -> Engine:
    """Every engine in turn."""
    return await engines.get(request.param)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llama(engines: LoadedEngines) -> Engine:
    return await engines.get("llamacpp")
