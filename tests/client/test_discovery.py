import aiohttp
import pytest

from fastchat.client.discovery import Discovery
from fastchat.client.fleet import Fleet
from fastchat.core.errors import NoWorker, UnknownModel
from fastchat.protocol.control import ServedModel, Snapshot, WorkerEntry


def snapshot(*workers: str, settled: bool = True, departed: tuple[str, ...] = ()) -> Snapshot:
    entries = tuple(
        WorkerEntry(worker_id=name, url=f"http://{name}", models=(ServedModel(name="m"),)) for name in workers
    )
    return Snapshot(version="1", is_settled=settled, policy="least_loaded", workers=entries, departed_models=departed)


@pytest.fixture
async def discovery() -> Discovery:
    async with aiohttp.ClientSession() as session:
        return Discovery(Fleet(), session, "http://controller")


def known(discovery: Discovery) -> set[str]:
    return {item.endpoint.endpoint_id for item in discovery._fleet.endpoints}


async def test_a_complete_snapshot_replaces_what_was_known(discovery: Discovery) -> None:
    discovery.apply(snapshot("a", "b"))
    discovery.apply(snapshot("b"))
    assert known(discovery) == {"b"}


async def test_a_controller_that_has_just_started_buries_nobody(discovery: Discovery) -> None:
    discovery.apply(snapshot("a", "b"))
    discovery.apply(snapshot(settled=False))
    discovery.apply(snapshot("c", settled=False))
    assert known(discovery) == {"a", "b", "c"}
    discovery.apply(snapshot("a", "c"))
    assert known(discovery) == {"a", "c"}


async def test_an_unsettled_controller_makes_no_name_unknown(discovery: Discovery) -> None:
    discovery.apply(snapshot("a", settled=False))
    with pytest.raises(NoWorker):
        discovery._fleet.pick("other")
    discovery.apply(snapshot("a"))
    with pytest.raises(UnknownModel):
        discovery._fleet.pick("other")
