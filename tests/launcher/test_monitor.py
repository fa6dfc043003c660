"""How the models are doing, put together from what processes, controller and workers say."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fastchat.core.processes import record_of_process
from fastchat.launcher.config import HostedModel, LocalModel
from fastchat.launcher.hosted import announcement_of
from fastchat.launcher.lineup import ServedHere
from fastchat.launcher.memory import Estimate
from fastchat.launcher.monitor import Monitor, Rate
from fastchat.launcher.plan import PlannedModel
from fastchat.launcher.processes import Child, Command
from fastchat.protocol.control import Load, ServedModel, Snapshot, WorkerEntry
from tests.clocks import Clock

METRICS = """\
fastchat_time_to_first_token_seconds_count{model="a"} 2
fastchat_time_between_tokens_seconds_count{model="a"} 40
"""


class Neighbours:
    """A controller and a worker in one server."""

    def __init__(self) -> None:
        self.workers: tuple[WorkerEntry, ...] = ()
        self.authorizations: list[str | None] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/workers", self.snapshot), web.get("/metrics", self.metrics)])
        return app

    async def snapshot(self, request: web.Request) -> web.Response:
        self.authorizations.append(request.headers.get("authorization"))
        snapshot = Snapshot(
            version="1", is_settled=True, policy="least_loaded", workers=self.workers, departed_models=()
        )
        return web.Response(text=snapshot.model_dump_json(), content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(text=METRICS)


@pytest.fixture
async def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
async def url(neighbours: Neighbours) -> AsyncIterator[str]:
    async with TestServer(neighbours.app()) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest.fixture
async def monitor(url: str) -> AsyncIterator[Monitor]:
    async with aiohttp.ClientSession() as session:
        yield Monitor(session, url, "the-token")


@pytest.fixture(autouse=True)
def _run_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FASTCHAT_RUN_DIR", str(tmp_path))


def model_here(*, pid: int | None = None) -> ServedHere:
    child = Child(Command("worker-a-1", (), environ={}), lambda event: None)
    child.pid = pid
    return ServedHere(PlannedModel(LocalModel(model="a.gguf", names=("a",)), "llamacpp", Estimate(), 1), [child])


def announced(url: str) -> WorkerEntry:
    return WorkerEntry(
        worker_id="w", url=url, models=(ServedModel(name="a"),), capacity=4, load=Load(running=3, waiting=2)
    )


async def test_a_model_is_ready_when_its_worker_is_announced(
    neighbours: Neighbours, url: str, monitor: Monitor
) -> None:
    model = model_here(pid=os.getpid())
    with record_of_process("model_worker", url):
        [before] = await monitor.look([model])
        neighbours.workers = (announced(url),)
        [after] = await monitor.look([model])

    assert (before.state, before.running) == ("starting", 0)
    assert (after.state, after.running, after.waiting) == ("ready", 3, 2)
    assert after.memory_bytes > 1_000_000


async def test_somebody_elses_worker_of_the_same_name_does_not_count(
    neighbours: Neighbours, url: str, monitor: Monitor
) -> None:
    neighbours.workers = (announced(url),)

    [status] = await monitor.look([model_here(pid=os.getpid())])

    assert status.state == "starting"


async def test_the_controller_is_shown_the_token(neighbours: Neighbours, monitor: Monitor) -> None:
    await monitor.look([])

    assert neighbours.authorizations == ["Bearer the-token"]


async def test_states_of_a_model_that_is_not_serving(monitor: Monitor) -> None:
    starting, restarting, failed, leaving = (model_here() for _ in range(4))
    restarting.workers[0].restarts = 1
    failed.workers[0].state = "failed"
    leaving.stop()

    found = await monitor.look([starting, restarting, failed, leaving])

    assert [status.state for status in found] == ["starting", "restarting", "failed", "draining"]


def test_a_rate_is_the_growth_over_the_last_seconds() -> None:
    clock = Clock()
    rate = Rate(clock)
    for value in (0, 10, 30, 60):
        rate.add(value)
        clock.advance(1)

    assert rate.per_s == 20


def test_a_rate_of_nothing_is_nothing() -> None:
    assert Rate(Clock()).per_s == 0


def test_a_rate_forgets_what_is_long_ago() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.add(0)
    clock.advance(100)
    rate.add(1000)
    clock.advance(1)
    rate.add(1000)

    assert rate.per_s == 0


def test_a_counter_that_began_anew_is_no_negative_rate() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.add(100)
    clock.advance(1)
    rate.add(5)

    assert rate.per_s == 0


def test_a_hosted_model_is_announced_under_its_names_with_its_key() -> None:
    hosted = HostedModel.model_validate(
        {"endpoint": "https://host/v1", "model": "up", "names": ["up", "down"], "api_key": "sk", "context_length": 9}
    )

    announcement = announcement_of(hosted)

    assert (announcement.url, announcement.api_key, announcement.capacity) == ("https://host", "sk", 64)
    assert [(model.name, model.upstream_name) for model in announcement.models] == [("up", None), ("down", "up")]
    assert {model.context_length for model in announcement.models} == {9}
