from fastchat.controller.registry import WorkerRegistry
from fastchat.protocol.control import SETTLE_S, TTL_S, Announcement, Load, ServedModel
from tests.clocks import Clock


def announcement(*models: str, running: int = 0, url: str = "http://w") -> Announcement:
    served = tuple(ServedModel(name=model) for model in models)
    return Announcement(url=url, models=served, load=Load(running=running))


def registry(clock: Clock) -> WorkerRegistry:
    return WorkerRegistry("least_loaded", clock)


def test_announcing_again_changes_nothing_but_the_load() -> None:
    clock = Clock()
    workers = registry(clock)
    workers.announce("w1", announcement("m"))
    version = workers.version
    workers.announce("w1", announcement("m", running=3))
    assert workers.version == version
    assert workers.snapshot().workers[0].load.running == 3


def test_a_worker_that_serves_something_else_changes_the_version() -> None:
    workers = registry(Clock())
    workers.announce("w1", announcement("m"))
    version = workers.version
    workers.announce("w1", announcement("m", "n"))
    assert workers.version != version


def test_the_silent_are_forgotten_and_their_models_remembered() -> None:
    clock = Clock()
    workers = registry(clock)
    workers.announce("w1", announcement("m"))
    workers.announce("w2", announcement("n"))
    clock.advance(TTL_S - 0.1)
    workers.announce("w2", announcement("n"))
    clock.advance(0.2)
    assert workers.expire() == ["w1"]
    snapshot = workers.snapshot()
    assert [worker.worker_id for worker in snapshot.workers] == ["w2"]
    assert snapshot.departed_models == ("m",)


def test_signing_off_twice_is_harmless() -> None:
    workers = registry(Clock())
    workers.announce("w1", announcement("m"))
    workers.sign_off("w1")
    version = workers.version
    workers.sign_off("w1")
    assert workers.version == version
    assert workers.snapshot().workers == ()


def test_a_model_that_comes_back_is_no_longer_departed() -> None:
    workers = registry(Clock())
    workers.announce("w1", announcement("m"))
    workers.sign_off("w1")
    workers.announce("w2", announcement("m"))
    assert workers.snapshot().departed_models == ()


def test_a_fresh_registry_is_not_settled_until_everybody_had_time_to_report() -> None:
    clock = Clock()
    workers = registry(clock)
    assert not workers.snapshot().is_settled
    version = workers.version
    clock.advance(SETTLE_S)
    workers.expire()
    assert workers.snapshot().is_settled
    assert workers.version != version, "those who wait for news are told"


def test_two_lives_of_a_controller_never_share_a_version() -> None:
    assert registry(Clock()).version != registry(Clock()).version
