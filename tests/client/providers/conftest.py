import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import pytest_asyncio
import uvloop

from tests.client.providers.dialects import WIRES
from tests.client.providers.servers import Hosted, hosted


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that our servers run on; the SDKs' own business with loops is their makers'."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(WIRES))
async def running(request: pytest.FixtureRequest) -> AsyncIterator[Hosted]:
    """A provider and a gateway that knows it, for all tests of a module."""
    async with hosted(WIRES[request.param]) as model:
        yield model


@pytest.fixture
def model(running: Hosted) -> Hosted:
    """The same, as if new."""
    running.provider.reset()
    return running
