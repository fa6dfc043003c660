from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.arena.service.http import Caller, caller, serving
from tests.arena.service.stage import Stage, stage


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store nobody has used, to copy, for making one takes as long as ten tests. The first that needs it makes it."""
    return tmp_path_factory.mktemp("store") / "empty.sqlite"


@pytest.fixture
async def set_up(tmp_path: Path, empty_store: Path) -> AsyncIterator[Stage]:
    async with stage(tmp_path, empty_store) as set_up:
        yield set_up


@pytest.fixture
async def url(set_up: Stage) -> AsyncIterator[str]:
    async with serving(set_up) as url:
        yield url


@pytest.fixture
async def ada(url: str) -> AsyncIterator[Caller]:
    async with caller(url) as ada:
        yield ada
