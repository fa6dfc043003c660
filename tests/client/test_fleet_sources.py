"""A fleet that is told of endpoints by a controller and by a register file."""

import aiohttp
import pytest

from fastchat.client.discovery import Discovery
from fastchat.client.endpoint_file import REGISTERED
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.core.errors import NoWorker, UnknownModel
from fastchat.protocol.control import ServedModel, Snapshot, WorkerEntry


def endpoint(name: str, *models: str) -> Endpoint:
    return Endpoint(name, f"http://{name}", {model: ServedModel(name=model) for model in models})


def snapshot(*workers: str, is_settled: bool = True) -> Snapshot:
    entries = tuple(
        WorkerEntry(worker_id=name, url=f"http://{name}", models=(ServedModel(name=f"model-{name}"),))
        for name in workers
    )
    return Snapshot(version="e:1", is_settled=is_settled, policy="least_loaded", workers=entries, departed_models=())


def test_each_source_replaces_only_what_it_said_itself() -> None:
    fleet = Fleet()
    fleet.update([endpoint("cloud", "gpt")], source=REGISTERED)
    fleet.update([endpoint("a", "vicuna")])
    fleet.update([endpoint("b", "alpaca")])
    assert list(fleet.models) == ["alpaca", "gpt"]


def test_one_model_from_two_sources_is_served_by_both() -> None:
    fleet = Fleet()
    fleet.update([endpoint("cloud", "m")], source=REGISTERED)
    fleet.update([endpoint("a", "m")])
    assert {
        fleet.pick("m", avoid=["a"]).endpoint.endpoint_id,
        fleet.pick("m", avoid=["cloud"]).endpoint.endpoint_id,
    } == {
        "a",
        "cloud",
    }


def test_a_worker_cannot_take_the_id_of_a_registered_model() -> None:
    fleet = Fleet()
    fleet.update([endpoint("cloud", "gpt")], source=REGISTERED)
    fleet.update([Endpoint("cloud", "http://evil", {"gpt": ServedModel(name="gpt")})])
    assert fleet.pick("gpt").endpoint.url == "http://cloud"


def test_a_file_alone_knows_all_there_is_but_not_beside_a_controller() -> None:
    alone, beside = Fleet(), Fleet()
    alone.update([endpoint("cloud", "gpt")], source=REGISTERED, is_complete=True)
    beside.update([endpoint("cloud", "gpt")], source=REGISTERED, is_complete=False)
    with pytest.raises(UnknownModel):
        alone.pick("vicuna")
    with pytest.raises(NoWorker):
        beside.pick("vicuna")


async def test_a_controller_that_restarts_keeps_its_own_and_leaves_the_file_alone() -> None:
    fleet = Fleet()
    fleet.update([endpoint("cloud", "gpt")], source=REGISTERED)
    async with aiohttp.ClientSession() as session:
        discovery = Discovery(fleet, session, "http://nowhere")
        discovery.apply(snapshot("a", "b"))
        discovery.apply(snapshot("c", is_settled=False))
        assert list(fleet.models) == ["gpt", "model-a", "model-b", "model-c"]
        discovery.apply(snapshot("c"))
        assert list(fleet.models) == ["gpt", "model-c"]
