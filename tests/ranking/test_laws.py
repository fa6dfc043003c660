"""What has to hold of a Bradley-Terry fit whatever the votes are."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.results import Estimates, Scale
from tests.ranking.samples import relabelled, repeated, swapped, votes, well_linked_votes

ridges = st.sampled_from([0.0, 0.0, 0.1, 2.0])
CLOSE = {"rtol": 1e-7, "atol": 1e-9}


def assert_same(one: Estimates, other: Estimates) -> None:
    np.testing.assert_allclose(one.strengths, other.strengths, **CLOSE)
    np.testing.assert_allclose(one.covariance, other.covariance, **CLOSE)
    np.testing.assert_array_equal(one.unbounded, other.unbounded)
    np.testing.assert_array_equal(one.component[:, None] == one.component, other.component[:, None] == other.component)


def fit(sample: Comparisons, ridge: float = 0.0) -> Estimates:
    return fit_bradley_terry(Counts.of(sample), ridge=ridge)


@given(votes(is_weighted=True), ridges, st.data())
def test_relabelling_permutes(sample: Comparisons, ridge: float, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(sample.models))))
    plain, moved = fit(sample, ridge), fit(relabelled(sample, order), ridge)
    place = np.array(order)
    np.testing.assert_allclose(moved.strengths[place], plain.strengths, **CLOSE)
    np.testing.assert_allclose(moved.covariance[np.ix_(place, place)], plain.covariance, **CLOSE)
    np.testing.assert_array_equal(moved.votes[place], plain.votes)


@given(well_linked_votes(is_weighted=True), st.integers(2, 5))
def test_repeating_the_votes_keeps_ratings_and_narrows_errors_by_the_root(sample: Comparisons, times: int) -> None:
    once, often = fit(sample), fit(repeated(sample, times))
    np.testing.assert_allclose(often.strengths, once.strengths, **CLOSE)
    np.testing.assert_allclose(often.errors * math.sqrt(times), once.errors, rtol=1e-6, atol=1e-6)


@given(votes(is_weighted=True), ridges, st.integers(0, 60))
def test_merging_shards_gives_the_whole(sample: Comparisons, ridge: float, cut: int) -> None:
    rows = np.arange(len(sample))
    shards = [Counts.of(sample.select(part)) for part in (rows[cut:], rows[:cut])]
    assert_same(fit_bradley_terry(Counts.total(shards), ridge=ridge), fit(sample, ridge))


@given(votes(is_weighted=True), ridges, st.data())
def test_sides_do_not_matter(sample: Comparisons, ridge: float, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.booleans(), min_size=len(sample), max_size=len(sample)))
    assert_same(fit(swapped(sample, rows), ridge), fit(sample, ridge))


@given(votes(), ridges)
def test_a_weight_of_two_is_a_vote_given_twice_for_the_estimate(sample: Comparisons, ridge: float) -> None:
    heavy = Comparisons(sample.models, sample.left, sample.right, sample.outcome, np.full(len(sample), 2.0))
    once, twice = fit(heavy, ridge), fit(repeated(sample, 2), ridge)
    np.testing.assert_allclose(once.strengths, twice.strengths, **CLOSE)


@given(well_linked_votes())
def test_a_weight_of_two_on_every_vote_makes_nothing_surer(sample: Comparisons) -> None:
    heavy = Comparisons(sample.models, sample.left, sample.right, sample.outcome, np.full(len(sample), 2.0))
    assert_same(fit(heavy), fit(sample))


@given(votes(), ridges)
def test_turning_every_outcome_turns_the_order(sample: Comparisons, ridge: float) -> None:
    turned = np.array([Outcome.RIGHT, Outcome.LEFT, Outcome.TIE, Outcome.BOTH_BAD], np.int8)[sample.outcome]
    other = fit(Comparisons(sample.models, sample.left, sample.right, turned), ridge)
    plain = fit(sample, ridge)
    np.testing.assert_allclose(other.strengths, -plain.strengths, **CLOSE)
    np.testing.assert_allclose(other.covariance, plain.covariance, **CLOSE)


@given(votes(), ridges)
def test_dropping_both_bad_is_not_having_them(sample: Comparisons, ridge: float) -> None:
    kept = sample.select(sample.outcome != Outcome.BOTH_BAD)
    if len(kept):
        assert_same(fit_bradley_terry(Counts.of(sample), both_bad=BothBad.DROP, ridge=ridge), fit(kept, ridge))


@given(well_linked_votes(), st.data())
def test_a_further_win_never_lowers_the_winner(sample: Comparisons, data: st.DataObject) -> None:
    row = data.draw(st.sampled_from(np.flatnonzero(sample.outcome == Outcome.LEFT).tolist()))
    more = sample.select(np.append(np.arange(len(sample)), row))
    winner = sample.left[row]
    assert fit(more).strengths[winner] > fit(sample).strengths[winner] - 1e-9


@given(well_linked_votes())
def test_each_model_wins_as_often_as_its_strength_says(sample: Comparisons) -> None:
    """The likelihood's equations, by model."""
    strengths = fit(sample).strengths
    worth = np.array([1.0, 0.0, 0.5, 0.5])[sample.outcome]
    chance = 1 / (1 + np.exp(strengths[sample.right] - strengths[sample.left]))
    size = len(strengths)
    won = np.bincount(sample.left, worth, size) + np.bincount(sample.right, 1 - worth, size)
    expected = np.bincount(sample.left, chance, size) + np.bincount(sample.right, 1 - chance, size)
    np.testing.assert_allclose(won, expected, atol=1e-9 * len(sample))


@given(well_linked_votes(), st.data())
def test_ratings_are_points_from_the_anchor(sample: Comparisons, data: st.DataObject) -> None:
    found = fit(sample)
    anchor = data.draw(st.sampled_from(sample.models))
    plain, pinned = Scale().ratings(found), Scale(offset=1200.0, anchor=anchor).ratings(found)
    np.testing.assert_allclose(plain, 1000 + found.strengths * 400 / math.log(10))
    np.testing.assert_allclose(plain.mean(), 1000)
    assert pinned[sample.models.index(anchor)] == 1200
    np.testing.assert_allclose(np.diff(pinned), np.diff(plain), atol=1e-9)
