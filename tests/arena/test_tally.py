import math
from statistics import pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.arena.records import Outcome
from fastchat.arena.tally import PairVotes, Tally, pair_of

WORTH = {Outcome.LEFT: 1.0, Outcome.RIGHT: 0.0, Outcome.TIE: 0.5, Outcome.BOTH_BAD: 0.5}

votes = st.lists(st.tuples(st.sampled_from(Outcome), st.booleans()), max_size=30)


def tallied(cast: list[tuple[Outcome, bool]]) -> Tally:
    """Votes between x and y; x is on the left where the second is true."""
    tally = Tally()
    for outcome, is_x_left in cast:
        tally.add(*("x", "y") if is_x_left else ("y", "x"), outcome)
    return tally


def test_votes_count_for_the_model_and_not_for_its_side() -> None:
    cast = [(Outcome.LEFT, True), (Outcome.RIGHT, False), (Outcome.LEFT, False), (Outcome.TIE, True)]
    assert tallied(cast).between("x", "y") == PairVotes(first_wins=2, second_wins=1, ties=1)


def test_a_pair_is_the_same_in_either_order() -> None:
    tally = tallied([(Outcome.LEFT, True), (Outcome.BOTH_BAD, False)])
    assert tally.between("y", "x") == tally.between("x", "y") == PairVotes(first_wins=1, both_bad=1)
    assert pair_of("y", "x") == pair_of("x", "y") == ("x", "y")


def test_many_votes_at_once_are_as_many_single_ones() -> None:
    at_once = Tally()
    at_once.add("y", "x", Outcome.RIGHT, votes=3)
    singly = tallied([(Outcome.RIGHT, False)] * 3)
    assert at_once.between("x", "y") == singly.between("x", "y") == PairVotes(first_wins=3)
    assert at_once.votes_of("x") == singly.votes_of("x") == 3


def test_votes_of_a_model_are_those_against_everybody() -> None:
    tally = Tally()
    tally.add("x", "y", Outcome.TIE)
    tally.add("z", "x", Outcome.BOTH_BAD)
    assert [tally.votes_of(name) for name in ("x", "y", "z", "nobody")] == [2, 1, 1, 0]


def test_a_model_against_itself_counts_for_nothing() -> None:
    tally = Tally()
    tally.add("x", "x", Outcome.LEFT)
    assert tally.votes_of("x") == 0


@given(votes)
def test_the_variance_is_that_of_the_votes_and_one_imagined_win_of_each_side(cast: list[tuple[Outcome, bool]]) -> None:
    worths = [WORTH[outcome] if is_x_left else 1 - WORTH[outcome] for outcome, is_x_left in cast]
    pair = tallied(cast).between("x", "y")
    assert pair.votes == len(cast)
    assert pair.variance == pytest.approx(pvariance([*worths, 0.0, 1.0]))


@given(votes.filter(bool))
def test_a_pair_without_votes_promises_most_and_none_promises_nothing(cast: list[tuple[Outcome, bool]]) -> None:
    gains = tallied(cast).gains((("x", "y"), ("x", "z")))
    assert 0 < gains[0] < gains[1] < math.inf


def test_the_gain_is_what_a_further_vote_takes_from_the_standard_error() -> None:
    # Eight votes and two imagined ones, five wins of ten: the variance is 1/4.
    pair = PairVotes(first_wins=4, second_wins=4)
    assert pair.gain == pytest.approx(math.sqrt(0.25 / 10) - math.sqrt(0.25 / 11))


def test_of_pairs_with_as_many_votes_the_closer_promises_more() -> None:
    assert PairVotes(first_wins=5, second_wins=5).gain > PairVotes(first_wins=9, second_wins=1).gain
