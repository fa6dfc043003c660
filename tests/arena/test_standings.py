import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.arena.records import Mark, Outcome
from fastchat.arena.standings import PRELIMINARY_BELOW, Counting, Standing, wilson
from fastchat.arena.store.store import CountedVote

OUTCOMES = list(Outcome)


def vote(outcome: Outcome, left: str = "a", right: str = "b", *, mode: str = "battle", **more: object) -> CountedVote:
    return CountedVote("default", mode, outcome, left, right, cast_at=more.pop("at", 1.0), **more)  # type: ignore[arg-type]


def counted(*votes: CountedVote) -> Counting:
    counting = Counting()
    counting.add_all(votes)
    return counting


def test_a_vote_is_a_win_to_one_and_a_loss_to_the_other() -> None:
    table = counted(vote(Outcome.LEFT), vote(Outcome.RIGHT, "c", "a"), vote(Outcome.TIE), vote(Outcome.BOTH_BAD))
    by_name = {row.model: row for row in table.standings().rows}
    assert by_name["a"] == Standing("a", wins=2, ties=1, both_bad=1)
    assert by_name["b"] == Standing("b", losses=1, ties=1, both_bad=1)
    assert by_name["c"] == Standing("c", losses=1)
    assert table.standings().votes == 4


def test_rates() -> None:
    row = Standing("a", wins=3, losses=1, ties=2, both_bad=2)
    assert row.battles == 8
    assert row.win_rate == 0.75
    assert row.score == 5 / 8
    assert Standing("a", ties=3).win_rate is None


# Worked by hand from Wilson's formula; 10 of 10 and 0 of 10 are the textbook's examples of where Wald's fails.
@pytest.mark.parametrize(
    ("wins", "trials", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (50, 100, 0.4038, 0.5962), (0, 0, 0, 1)],
)
def test_wilson(wins: int, trials: int, low: float, high: float) -> None:
    assert wilson(wins, trials) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_covers_its_share_19_times_in_20() -> None:
    rng = random.Random(7)
    covered = 0
    for _ in range(2000):
        wins = sum(rng.random() < 0.3 for _ in range(40))
        low, high = wilson(wins, 40)
        covered += low <= 0.3 <= high
    assert 0.93 <= covered / 2000 <= 0.98


def test_few_lucky_battles_do_not_lead() -> None:
    lucky = [vote(Outcome.LEFT, "lucky", "other")] * 3
    steady = [vote(Outcome.LEFT, "steady", "other")] * 80 + [vote(Outcome.RIGHT, "steady", "other")] * 20
    rows = counted(*lucky, *steady).standings().rows
    assert [row.model for row in rows] == ["steady", "lucky", "other"]
    assert [row.is_preliminary for row in rows] == [False, True, False]
    assert rows[0].battles == PRELIMINARY_BELOW


def test_only_blind_battles_count() -> None:
    table = counted(
        vote(Outcome.LEFT, mode="side_by_side"),
        vote(Outcome.LEFT, "a", "a"),
        vote(Outcome.LEFT, marks=frozenset({Mark.NAMES_ITSELF})),
        vote(Outcome.LEFT, marks=frozenset({Mark.FREQUENT_PROMPT}), at=9.0),
    ).standings()
    assert (table.votes, table.left_out, table.last_vote_at) == (1, 1, 9.0)
    assert [row.battles for row in table.rows] == [1, 1]


def test_a_hidden_model_is_not_listed_but_its_battles_count() -> None:
    rows = counted(vote(Outcome.LEFT)).standings(hidden={"a"}).rows
    assert rows == (Standing("b", losses=1),)


@given(st.lists(st.tuples(st.sampled_from(OUTCOMES), st.permutations(["a", "b", "c"]))))
def test_wins_and_losses_balance(votes: list[tuple[Outcome, list[str]]]) -> None:
    rows = counted(*(vote(outcome, models[0], models[1]) for outcome, models in votes)).standings().rows
    assert sum(row.wins for row in rows) == sum(row.losses for row in rows)
    assert sum(row.battles for row in rows) == 2 * len(votes)
    for row in rows:
        assert 0 <= row.interval.low <= row.score + 1e-12
        assert row.score - 1e-12 <= row.interval.high <= 1
