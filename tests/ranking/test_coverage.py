"""Intervals, rank sets and critical values hold the truth as often as they say, by simulation; seeds are fixed."""

import pytest

from benchmarks.coverage import ALIKE, MODELS, VOTES, Coverage, Setting, simulate, ways_compared

SHORT = [
    (Setting(4, 2_000), 300),
    (Setting(20, 2_000), 100),
    (Setting(20, 100_000), 100),
    (Setting(8, 2_000, ALIKE), 300),
]
ALL = [Setting(models, votes) for models in MODELS for votes in VOTES] + [
    Setting(models, 2_000, ALIKE) for models in MODELS
]


def check(found: Coverage) -> None:
    assert found.marginal == pytest.approx(0.95, abs=0.02)
    assert found.together >= 0.92
    assert found.wrong_rank <= 0.08


@pytest.mark.parametrize(("setting", "trials"), SHORT)
def test_intervals_and_ranks_hold_the_truth(setting: Setting, trials: int) -> None:
    check(simulate(setting, trials))


@pytest.mark.full
@pytest.mark.parametrize("setting", ALL)
def test_intervals_and_ranks_hold_the_truth_everywhere(setting: Setting) -> None:
    check(simulate(setting, 500))


def test_rank_sets_are_no_wider_than_needed() -> None:
    """With many votes and clear differences, most ranks are told."""
    assert simulate(Setting(8, 100_000, spread=8.0), 20).open_ranks < 1.5


def test_marginal_intervals_do_not_give_ranks() -> None:
    found = simulate(Setting(20, 2_000, ALIKE), 150)

    assert found.wrong_marginal_rank > 0.08 > found.wrong_rank


@pytest.mark.full
def test_every_way_to_an_interval_holds_the_truth_where_it_should() -> None:
    held = ways_compared(Setting(8, 10_000), 150)

    assert held.pop(("voters with tastes", "sandwich")) < 0.85
    assert {way: share for way, share in held.items() if abs(share - 0.95) > 0.025} == {}
