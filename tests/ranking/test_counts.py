from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.ranking.comparisons import Comparisons, Outcome
from fastchat.ranking.counts import Counts
from tests.ranking.samples import drawn, of_rows, relabelled, votes


def assert_same(one: Counts, other: Counts) -> None:
    assert one.models == other.models
    np.testing.assert_array_equal(one.votes, other.votes)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-12)
    np.testing.assert_allclose(one.squares, other.squares, rtol=1e-12)


def test_votes_are_counted_by_outcome_and_side() -> None:
    rows = [("a", "b", Outcome.LEFT)] * 3 + [("b", "a", Outcome.LEFT), ("a", "c", Outcome.BOTH_BAD)]
    counts = Counts.of(of_rows(*rows))
    assert counts.votes.shape == (4, 3, 3)
    assert counts.votes[Outcome.LEFT, 0, 1] == 3
    assert counts.votes[Outcome.LEFT, 1, 0] == 1
    assert counts.votes[Outcome.BOTH_BAD, 0, 2] == 1
    assert counts.number == 5
    assert counts.votes_of.tolist() == [5, 4, 1]


@given(votes(is_weighted=True))
def test_each_cell_has_its_votes_their_weights_and_squares(sample: Comparisons) -> None:
    assert sample.weight is not None
    counts = Counts.of(sample)
    expected: Counter[tuple[int, ...]] = Counter()
    weights: Counter[tuple[int, ...]] = Counter()
    squares: Counter[tuple[int, ...]] = Counter()
    for row in range(len(sample)):
        cell = (int(sample.outcome[row]), int(sample.left[row]), int(sample.right[row]))
        expected[cell] += 1
        weights[cell] += sample.weight[row]
        squares[cell] += sample.weight[row] ** 2
    for cell in np.ndindex(counts.votes.shape):
        assert counts.votes[cell] == expected[cell]
        assert counts.weights[cell] == pytest.approx(weights[cell])
        assert counts.squares[cell] == pytest.approx(squares[cell])


def test_without_weights_every_vote_weighs_one() -> None:
    counts = Counts.of(drawn(4, 50))
    np.testing.assert_array_equal(counts.weights, counts.votes)
    np.testing.assert_array_equal(counts.squares, counts.votes)
    assert not counts.is_weighted


def test_weights_that_add_up_to_the_number_of_votes_are_weights() -> None:
    counts = Counts.of(of_rows(("a", "b", Outcome.LEFT), ("a", "b", Outcome.LEFT), weight=[0.5, 1.5]))
    assert counts.is_weighted
    assert counts.digest != Counts.of(of_rows(("a", "b", Outcome.LEFT), ("a", "b", Outcome.LEFT))).digest


@given(votes(is_weighted=True), st.integers(0, 60))
def test_counts_of_parts_add_up_to_those_of_the_whole(sample: Comparisons, cut: int) -> None:
    rows = np.arange(len(sample))
    parts = [sample.select(rows[:cut]), sample.select(rows[cut:])]
    assert_same(Counts.total(map(Counts.of, parts)), Counts.of(sample))


@given(votes(), st.randoms(use_true_random=False))
def test_counts_add_up_by_name_whatever_the_codes(sample: Comparisons, random: Random) -> None:
    order = list(range(len(sample.models)))
    random.shuffle(order)
    twice = Counts.of(sample) + Counts.of(relabelled(sample, order))
    assert twice.models == sample.models
    np.testing.assert_array_equal(twice.votes, 2 * Counts.of(sample).votes)
    assert twice.digest == (Counts.of(relabelled(sample, order)) + Counts.of(sample)).digest


def test_models_that_only_one_part_knows_are_in_the_sum() -> None:
    first = Counts.of(of_rows(("b", "d", Outcome.LEFT)))
    second = Counts.of(of_rows(("a", "d", Outcome.TIE), ("d", "c", Outcome.RIGHT)))
    both = first + second
    assert both.models == ("a", "b", "c", "d")
    assert both.votes_of.tolist() == [1, 1, 1, 3]
    assert both.votes[Outcome.LEFT, 1, 3] == both.votes[Outcome.TIE, 0, 3] == both.votes[Outcome.RIGHT, 3, 2] == 1


def test_nothing_adds_up_to_nothing() -> None:
    assert Counts.total([]).number == 0
    assert Counts.empty(["a", "b"]).votes_of.tolist() == [0, 0]


def test_over_other_models_votes_with_those_left_out_are_gone() -> None:
    rows = [("a", "b", Outcome.LEFT), ("b", "c", Outcome.RIGHT), ("c", "a", Outcome.TIE)]
    counts = Counts.of(of_rows(*rows)).over(("c", "new", "a"))
    assert counts.models == ("c", "new", "a")
    assert counts.number == 1
    assert counts.votes[Outcome.TIE, 0, 2] == 1


def test_outcomes_are_left_out_of_all_three() -> None:
    counts = Counts.of(drawn(4, 200, is_weighted=True))
    kept = counts.without(Outcome.BOTH_BAD)
    assert kept.votes[Outcome.BOTH_BAD].sum() == kept.weights[Outcome.BOTH_BAD].sum() == 0
    assert kept.squares[Outcome.BOTH_BAD].sum() == 0
    assert kept.number == counts.number - counts.votes[Outcome.BOTH_BAD].sum() > 0
    np.testing.assert_array_equal(kept.votes[: Outcome.BOTH_BAD], counts.votes[: Outcome.BOTH_BAD])


@given(votes(), st.randoms(use_true_random=False))
def test_the_digest_does_not_know_the_order_of_votes(sample: Comparisons, random: Random) -> None:
    rows = list(range(len(sample)))
    random.shuffle(rows)
    assert Counts.of(sample.select(np.array(rows))).digest == Counts.of(sample).digest


def test_the_digest_knows_names_sides_outcomes_and_weights() -> None:
    samples = [
        of_rows(("a", "b", Outcome.LEFT)),
        of_rows(("a", "c", Outcome.LEFT)),
        of_rows(("b", "a", Outcome.LEFT)),
        of_rows(("a", "b", Outcome.RIGHT)),
        of_rows(("a", "b", Outcome.LEFT), weight=[2.0]),
        of_rows(("a", "b", Outcome.LEFT), ("a", "b", Outcome.LEFT)),
    ]
    assert len({Counts.of(sample).digest for sample in samples}) == len(samples)
