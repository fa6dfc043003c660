import random

import pytest

from fastchat.client.balancing import AFFINITY_SLACK
from fastchat.client.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker, State
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.core.errors import NoWorker, UnknownModel
from fastchat.protocol.control import PolicyName, ServedModel
from tests.clocks import Clock


def endpoint(name: str, *models: str, capacity: int = 4, load: int = 0, draining: bool = False) -> Endpoint:
    served = {model: ServedModel(name=model) for model in models or ("m",)}
    return Endpoint(name, f"http://{name}", served, capacity, load, draining)


def fleet_of(*endpoints: Endpoint, policy: PolicyName = "least_loaded", clock: Clock | None = None) -> Fleet:
    fleet = Fleet(policy, clock=clock or Clock(), rng=random.Random(7))
    fleet.update(endpoints)
    return fleet


def take(fleet: Fleet, count: int, affinity: bytes | None = None) -> list[str]:
    """Pick so many times without ever finishing, and say who was picked."""
    return [fleet.pick("m", affinity=affinity).__enter__().endpoint.endpoint_id for _ in range(count)]


def fail(fleet: Fleet, times: int = 1) -> None:
    for _ in range(times):
        with fleet.pick("m") as slot:
            slot.failed()


def test_a_name_nobody_ever_served_is_unknown_and_one_that_left_is_unavailable() -> None:
    fleet = fleet_of(endpoint("a", "m"))
    fleet.update([])
    with pytest.raises(NoWorker):
        fleet.pick("m")
    with pytest.raises(UnknownModel, match="'other' does not exist"):
        fleet.pick("other")


def test_before_the_first_complete_snapshot_no_name_is_called_unknown() -> None:
    fleet = Fleet()
    with pytest.raises(NoWorker):
        fleet.pick("m")
    fleet.update([endpoint("a", "m")], is_complete=False)
    assert fleet.pick("m").endpoint.endpoint_id == "a"
    with pytest.raises(NoWorker):
        fleet.pick("other")


def test_models_that_died_before_we_came_are_known_from_the_controller() -> None:
    fleet = Fleet()
    fleet.update([], departed=["m"])
    with pytest.raises(NoWorker):
        fleet.pick("m")


def test_a_draining_worker_gets_nothing_new() -> None:
    fleet = fleet_of(endpoint("a", draining=True), endpoint("b"))
    assert set(take(fleet, 6)) == {"b"}


def test_least_loaded_spreads_by_capacity() -> None:
    picked = take(fleet_of(endpoint("small", capacity=2), endpoint("large", capacity=6)), 8)
    assert (picked.count("small"), picked.count("large")) == (2, 6)


def test_shortest_queue_ignores_capacity() -> None:
    picked = take(fleet_of(endpoint("small", capacity=2), endpoint("large", capacity=6), policy="shortest_queue"), 8)
    assert (picked.count("small"), picked.count("large")) == (4, 4)


def test_lottery_draws_in_proportion_to_capacity() -> None:
    picked = take(fleet_of(endpoint("small", capacity=1), endpoint("large", capacity=3), policy="lottery"), 4000)
    assert picked.count("large") / 4000 == pytest.approx(0.75, abs=0.03)


def test_load_that_other_callers_cause_counts() -> None:
    fleet = fleet_of(endpoint("busy", capacity=4, load=3), endpoint("idle", capacity=4))
    assert take(fleet, 3) == ["idle"] * 3


def test_our_own_requests_in_a_report_are_not_counted_twice() -> None:
    fleet = fleet_of(endpoint("a"))
    take(fleet, 2)
    fleet.update([endpoint("a", load=3)])
    assert fleet.endpoints[0].load == 3


def test_a_conversation_returns_to_the_same_worker() -> None:
    fleet = fleet_of(*(endpoint(name, capacity=100) for name in "abcd"))
    for key in (b"one", b"two", b"three"):
        assert len(set(take(fleet, 5, affinity=key))) == 1


def test_conversations_are_spread_over_the_workers() -> None:
    fleet = fleet_of(*(endpoint(name, capacity=10_000) for name in "abcd"))
    homes = [take(fleet, 1, affinity=str(number).encode())[0] for number in range(400)]
    assert all(60 < homes.count(name) < 140 for name in "abcd")


def test_a_worker_that_leaves_moves_only_its_own_conversations() -> None:
    before = fleet_of(*(endpoint(name, capacity=10_000) for name in "abcd"))
    after = fleet_of(*(endpoint(name, capacity=10_000) for name in "abc"))
    for number in range(200):
        key = str(number).encode()
        home = take(before, 1, affinity=key)[0]
        assert home == "d" or take(after, 1, affinity=key)[0] == home


def test_a_warm_cache_does_not_overload_its_worker() -> None:
    fleet = fleet_of(endpoint("a", capacity=8), endpoint("b", capacity=8))
    take(fleet, 16, affinity=b"everybody asks the same")
    loads = sorted(item.utilisation for item in fleet.endpoints)
    assert loads[1] - loads[0] <= AFFINITY_SLACK + 1 / 8


def test_a_slot_is_counted_out_even_when_its_block_fails() -> None:
    fleet = fleet_of(endpoint("a"))
    with pytest.raises(ZeroDivisionError), fleet.pick("m"):
        raise ZeroDivisionError
    assert fleet.endpoints[0].in_flight == 0


def test_a_failing_worker_is_set_aside_then_probed_by_one_request() -> None:
    clock = Clock()
    fleet = fleet_of(endpoint("a"), endpoint("b"), clock=clock)
    failing = fleet.pick("m")
    with failing:
        failing.failed()
    bad = failing.endpoint.endpoint_id
    assert bad not in take(fleet, 3)
    clock.advance(FIRST_PAUSE_S + 0.01)
    picked = take(fleet, 3)
    assert picked.count(bad) == 1, "one probe, and no more before it has ended"


def test_the_last_worker_is_tried_even_while_set_aside() -> None:
    fleet = fleet_of(endpoint("a"))
    fail(fleet, 3)
    assert fleet.pick("m").endpoint.endpoint_id == "a"


def test_pauses_double_up_to_a_limit_and_one_success_forgets_them() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    pauses = []
    for _ in range(10):
        breaker.start()
        breaker.failed()
        pauses.append(breaker.retry_at - clock.now)
        clock.now = breaker.retry_at
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
    breaker.succeeded()
    assert breaker.state is State.CLOSED


def test_many_requests_that_fail_together_are_one_failure() -> None:
    clock = Clock()
    fleet = fleet_of(endpoint("a"), clock=clock)
    slots = [fleet.pick("m").__enter__() for _ in range(10)]
    for slot in slots:
        slot.failed()
        slot.__exit__(None, None, None)
    assert fleet.endpoints[0].breaker.retry_at == clock.now + FIRST_PAUSE_S


def test_a_probe_that_answers_ends_the_pause_with_its_first_byte() -> None:
    clock = Clock()
    fleet = fleet_of(endpoint("a"), clock=clock)
    fail(fleet)
    clock.advance(FIRST_PAUSE_S)
    with fleet.pick("m") as probe:
        assert fleet.endpoints[0].breaker.state is State.OPEN
        probe.succeeded()
        assert fleet.endpoints[0].breaker.state is State.CLOSED


def test_a_probe_whose_client_left_makes_room_for_another() -> None:
    clock = Clock()
    fleet = fleet_of(endpoint("a"), clock=clock)
    fail(fleet)
    clock.advance(FIRST_PAUSE_S)
    with fleet.pick("m"):
        pass
    assert fleet.endpoints[0].breaker.state is State.HALF_OPEN


def test_what_was_learned_of_a_worker_survives_a_snapshot_but_not_a_new_address() -> None:
    fleet = fleet_of(endpoint("a"))
    fail(fleet)
    fleet.update([endpoint("a", load=1)])
    assert fleet.endpoints[0].breaker.state is State.OPEN
    moved = Endpoint("a", "http://elsewhere", {"m": ServedModel(name="m")})
    fleet.update([moved])
    assert fleet.endpoints[0].breaker.state is State.CLOSED


def test_tried_workers_are_avoided_until_none_is_left() -> None:
    fleet = fleet_of(endpoint("a"), endpoint("b"))
    assert fleet.pick("m", avoid=["a"]).endpoint.endpoint_id == "b"
    with pytest.raises(NoWorker):
        fleet.pick("m", avoid=["a", "b"])
