"""Voters unlike others are found, honest ones seldom, and it does not matter when one looks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastchat.ranking.anomalies import Anomalies, Kind, find_anomalies
from fastchat.ranking.comparisons import NOBODY, Comparisons, comparisons
from fastchat.ranking.expected import expected, order_of, said_otherwise
from tests.ranking.crowds import BEHAVIOURS, HONEST, World, crowd

LEVEL = 0.1
POWER = {"random": 0.8, "coin": 0.8, "left": 0.9, "right": 0.9, "tie": 0.95, "contrarian": 0.95}


def _shares(world: World, seeds: range, *, honest: int = 150, bad: int = 4, votes: int = 60) -> dict[str, float]:
    """Of each behaviour, how many were flagged."""
    flagged: dict[str, list[float]] = {}
    for seed in seeds:
        voters = {HONEST: honest, **dict.fromkeys(BEHAVIOURS, bad)}
        votes_cast, behaviours = crowd(np.random.default_rng(seed), voters, votes, world)
        found = find_anomalies(votes_cast, level=LEVEL)
        for behaviour in {HONEST, *(BEHAVIOURS if bad else ())}:
            flagged.setdefault(behaviour, []).append(found.is_flagged[behaviours[found.voters] == behaviour].mean())
    return {behaviour: float(np.mean(shares)) for behaviour, shares in flagged.items()}


def _one_bad(behaviour: str, votes: int = 60) -> Anomalies:
    """The last code is the one that does so."""
    voted, _ = crowd(np.random.default_rng(1), {HONEST: 100, behaviour: 1}, votes)
    return find_anomalies(voted, level=LEVEL)


def test_sixty_votes_tell_bad_voters_and_spare_honest_ones() -> None:
    shares = _shares(World(), range(8))

    assert shares[HONEST] <= LEVEL
    assert {behaviour: shares[behaviour] for behaviour in POWER if shares[behaviour] < POWER[behaviour]} == {}


@pytest.mark.parametrize("models", [2, 20, 130])
def test_honest_crowds_raise_false_alarms_at_the_stated_rate_at_most(models: int) -> None:
    assert _shares(World(models=models), range(6), honest=100, bad=0)[HONEST] <= LEVEL


def test_a_handful_of_honest_voters_are_not_suspected_for_want_of_others() -> None:
    assert _shares(World(models=4), range(30), honest=5, bad=0, votes=30)[HONEST] <= LEVEL


@pytest.mark.parametrize(
    ("behaviour", "kinds"),
    [
        ("left", {Kind.LEFT, Kind.HABIT}),
        ("right", {Kind.RIGHT, Kind.HABIT}),
        ("tie", {Kind.TIE}),
        ("contrarian", {Kind.CONTRARIAN}),
        ("coin", {Kind.COIN, Kind.ANY}),
    ],
)
def test_it_says_what_the_voter_looks_like(behaviour: str, kinds: set[Kind]) -> None:
    found = _one_bad(behaviour)

    assert found.is_flagged[-1]
    assert Kind(found.kind[-1]) in kinds


def test_a_friend_of_one_model_is_found_in_time() -> None:
    found = _one_bad("favourite", votes=600)

    assert Kind(found.kind[-1]) is Kind.FAVOURITE
    assert 0 < found.reached_after[-1] < 600


def test_who_never_finds_a_tie_but_votes_as_others_do_is_not_suspected() -> None:
    voted, _ = crowd(np.random.default_rng(5), {HONEST: 120}, 100)
    decided = voted.outcome <= 1
    rows = (voted.voter != 0) | decided
    found = find_anomalies(voted.select(rows), level=LEVEL)

    assert found.votes[0] < 80
    assert not found.is_flagged[0]


def test_later_votes_change_nothing_of_what_was_reached() -> None:
    """Anytime: who was flagged stays so, whatever they do then."""
    voted, _ = crowd(np.random.default_rng(2), {HONEST: 80, "left": 1}, 60)
    own = np.flatnonzero(voted.voter == 80)
    outcome = voted.outcome.copy()
    outcome[own[30:]] = 1 - outcome[own[30:]]

    found = find_anomalies(replace(voted, outcome=outcome), level=LEVEL)

    assert 0 < found.reached_after[-1] <= 30
    assert found.final[-1] < found.largest[-1]


def test_votes_are_taken_in_the_order_of_their_time() -> None:
    voted, _ = crowd(np.random.default_rng(3), {HONEST: 40, "random": 2}, 60)
    timed = replace(voted, time=np.arange(len(voted), dtype=float))
    shuffled = timed.select(np.random.default_rng(4).permutation(len(timed)))

    first, second = find_anomalies(timed), find_anomalies(shuffled)

    np.testing.assert_allclose(first.largest, second.largest, rtol=1e-9)
    assert (first.reached_after == second.reached_after).all()


def test_unknown_voters_are_not_tested_but_count_as_others() -> None:
    voted, _ = crowd(np.random.default_rng(6), {HONEST: 60, "left": 1}, 60)
    assert voted.voter is not None
    known = np.where(voted.voter == 60, 60, NOBODY).astype(np.int32)

    found = find_anomalies(replace(voted, voter=known), level=LEVEL)

    assert found.voters.tolist() == [60]
    assert found.is_flagged.all()


def test_discoveries_hold_the_share_of_false_ones() -> None:
    voted, behaviours = crowd(np.random.default_rng(7), {HONEST: 150, "left": 10, "tie": 10}, 60)
    found = find_anomalies(voted)
    chosen = found.discoveries(0.1)

    assert (behaviours[found.voters[chosen]] != HONEST).mean() >= 0.9
    assert chosen[behaviours[found.voters] != HONEST].all()


def test_nothing_is_discovered_where_nothing_stands_out() -> None:
    alike = Anomalies(**{**_fields(_one_bad("left")), "final": np.zeros(101)})
    assert not alike.discoveries(0.1).any()


def _fields(of: Anomalies) -> dict[str, Any]:
    return {name: getattr(of, name) for name in Anomalies.__slots__}


def test_a_vote_is_not_expected_from_itself_or_what_follows() -> None:
    votes = comparisons(["a"] * 4, ["b"] * 4, [0, 0, 1, 2])
    votes = replace(votes, voter=np.array([0, 1, 0, 0], dtype=np.int32))
    same = np.zeros(4, dtype=np.int64)

    # Of voter 0: before the first vote only voter 1's; then also the own ones that came before.
    assert said_otherwise(votes, same).T.tolist() == [[1, 0, 0, 0], [1, 1, 1, 0], [2, 0, 0, 0], [2, 1, 0, 0]]


def test_expectations_are_chances() -> None:
    voted, _ = crowd(np.random.default_rng(8), {HONEST: 30}, 40)
    chances = expected(voted)

    np.testing.assert_allclose(chances.sum(axis=0), 1)
    assert (chances > 0).all()


@pytest.mark.parametrize(
    ("voted", "level", "words"),
    [
        (comparisons(["a"], ["b"], [0]), 0.1, "without voters"),
        (replace(comparisons(["a"], ["b"], [0]), voter=np.array([NOBODY], dtype=np.int32)), 0.1, "without voters"),
        (replace(comparisons(["a"], ["b"], [0]), voter=np.array([0], dtype=np.int32)), 1.0, "between 0 and 1"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_words(voted: Comparisons, level: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        find_anomalies(voted, level=level)


def test_a_single_vote_says_nothing() -> None:
    one = replace(comparisons(["a"], ["b"], [0]), voter=np.array([0], dtype=np.int32))
    assert not find_anomalies(one).is_flagged.any()


@pytest.mark.full
@pytest.mark.parametrize("spread", [0.7, 1.2, 2.0])
@pytest.mark.parametrize("models", [4, 20, 130])
def test_operating_points(models: int, spread: float, record_property: Any) -> None:
    """Models of nearly equal strength leave little to tell chance by."""
    shares = _shares(World(models=models, spread=spread), range(30), honest=200)
    record_property("shares", {name: round(share, 3) for name, share in shares.items()})

    assert shares[HONEST] <= LEVEL
    for behaviour in ("left", "right", "tie", "contrarian"):
        assert shares[behaviour] >= POWER[behaviour], (behaviour, shares)
    if models > 4 and spread > 1:
        assert shares["random"] >= POWER["random"], shares


@pytest.mark.parametrize("greatest", [50, 2**62])
def test_order_of_keys_keeps_equal_ones_as_they_stand(greatest: int) -> None:
    keys = np.random.default_rng(1).integers(0, 50, 1000) * (greatest // 50)
    assert np.array_equal(order_of(keys), np.argsort(keys, kind="stable"))
    assert len(order_of(keys[:0])) == 0


def test_voters_are_tested_alike_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    left = rng.integers(0, 5, 3000).astype(np.int32)
    right = ((left + rng.integers(1, 5, 3000)) % 5).astype(np.int32)
    outcome = np.where(rng.random(3000) < 0.2, 2, (left > right).astype(int)).astype(np.int8)
    votes = Comparisons(tuple("abcde"), left, right, outcome, voter=rng.integers(-1, 40, 3000).astype(np.int32))
    found = []
    for block in (1, 700, 10**6):
        monkeypatch.setattr("fastchat.ranking.anomalies._BLOCK", block)
        found.append(find_anomalies(votes))
    for other in found[1:]:
        assert np.array_equal(other.voters, found[0].voters)
        assert np.array_equal(other.votes, found[0].votes)
        assert np.array_equal(other.reached_after, found[0].reached_after)
        assert other.final == pytest.approx(found[0].final)
