import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import openai
import pytest

from tests.stack.system import System


@pytest.fixture
def new_system(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Makes systems that a test may break."""
    systems: list[System] = []

    def make(env: dict[str, str] | None = None) -> System:
        folder = tmp_path / str(len(systems))
        folder.mkdir()
        systems.append(System(folder, env))
        return systems[-1]

    yield make
    for system in systems:
        system.stop()


@pytest.fixture(scope="session")
def shared_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One system for all tests that leave it as it was: model `echo` on two workers."""
    system = System(tmp_path_factory.mktemp("system"))
    try:
        for _ in range(2):
            system.worker("echo", "echo-alias", engine={})
        asyncio.run(system.until_served("echo", workers=2))
        yield system
    finally:
        system.stop()


@pytest.fixture
async def client(shared_system: System) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(shared_system) as client:
        yield client


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def client_of(system: System, **options: object) -> openai.AsyncOpenAI:
    settings = {"base_url": f"{system.url}/v1", "api_key": "EMPTY", "max_retries": 0, **options}
    return openai.AsyncOpenAI(**settings)  # type: ignore[arg-type]
