import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.clusters import clustered
from fastchat.ranking.comparisons import NOBODY, Codes, Comparisons, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.results import Estimates
from tests.ranking.samples import drawn, repeated, votes, well_linked_votes, wins, worth


def fit(sample: Comparisons, both_bad: BothBad = BothBad.HALF, ridge: float = 0.0) -> Estimates:
    return fit_bradley_terry(Counts.of(sample), both_bad=both_bad, ridge=ridge)


def with_groups(sample: Comparisons, groups: Codes, both_bad: BothBad = BothBad.HALF) -> Estimates:
    return clustered(fit(sample, both_bad), sample, groups, both_bad)


def by_hand(sample: Comparisons, strengths: Floats, groups: Codes) -> Floats:
    """The textbook's formula, a row a vote and a loop over groups. NOBODY's votes stand alone."""
    size = len(strengths)
    rows = np.arange(len(sample))
    design = np.zeros((len(sample), size))
    design[rows, sample.left], design[rows, sample.right] = 1, -1
    chance = 1 / (1 + np.exp(-design @ strengths))
    weight = np.ones(len(sample)) if sample.weight is None else sample.weight
    bread = np.linalg.pinv(design.T @ (design * (weight * chance * (1 - chance))[:, None]), hermitian=True)
    scores = design * (weight * (worth(sample) - chance))[:, None]
    alone = np.where(groups == NOBODY, -1 - rows, groups)
    sums = [scores[alone == group].sum(axis=0) for group in np.unique(alone)]
    middle = sum(np.outer(score, score) for score in sums)
    return np.asarray(bread @ middle @ bread)


@given(well_linked_votes(is_weighted=True), st.data())
def test_it_is_the_textbooks_formula(sample: Comparisons, data: st.DataObject) -> None:
    codes = st.integers(NOBODY, 5)
    groups = np.array(data.draw(st.lists(codes, min_size=len(sample), max_size=len(sample))), np.int32)
    found = with_groups(sample, groups)
    np.testing.assert_allclose(found.covariance, by_hand(sample, found.strengths, groups), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("groups", [np.arange(400, dtype=np.int32), np.full(400, NOBODY, np.int32)])
@pytest.mark.parametrize("both_bad", [BothBad.HALF, BothBad.DROP])
def test_with_a_voter_a_vote_it_is_the_plain_sandwich(groups: Codes, both_bad: BothBad) -> None:
    sample = drawn(6, 400, is_weighted=True)
    plain = fit(sample, both_bad)
    np.testing.assert_allclose(with_groups(sample, groups, both_bad).covariance, plain.covariance, rtol=1e-9)


@given(votes(), st.booleans())
def test_also_where_votes_go_one_way_or_a_ridge_holds(sample: Comparisons, has_ridge: bool) -> None:
    plain = fit(sample, ridge=0.3 * has_ridge)
    alone = clustered(plain, sample, np.arange(len(sample), dtype=np.int32))
    np.testing.assert_allclose(alone.covariance, plain.covariance, rtol=1e-7, atol=1e-12)


def test_who_says_everything_four_times_counts_once() -> None:
    sample = drawn(5, 300)
    groups = np.tile(np.arange(300, dtype=np.int32), 4)
    found = with_groups(repeated(sample, 4), groups)
    np.testing.assert_allclose(found.covariance, fit(sample).covariance, rtol=1e-9)
    np.testing.assert_allclose(found.errors, 2 * fit(repeated(sample, 4)).errors, rtol=1e-9)


def test_two_models_by_hand() -> None:
    # Of four votes a won three: a chance of 3/4. One voter gave two wins, the other a win and a loss.
    found = with_groups(wins("a>b", "a>b", "a>b", "b>a"), np.array([3, 3, 9, 9], np.int32))
    middle = (1 / 4 + 1 / 4) ** 2 + (1 / 4 - 3 / 4) ** 2
    assert found.covariance[0, 0] * 4 == pytest.approx(middle / 0.75**2)
    assert found.strengths[0] * 2 == pytest.approx(math.log(3))


def test_codes_of_voters_may_be_any_numbers() -> None:
    sample = drawn(5, 200)
    groups = np.arange(200, dtype=np.int32) // 7
    same = with_groups(sample, (groups * 50_000_000 + 11).astype(np.int32))
    np.testing.assert_allclose(same.covariance, with_groups(sample, groups).covariance, rtol=1e-12)


def test_voters_are_summed_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = drawn(5, 200)
    groups = np.arange(200, dtype=np.int32) // 3
    whole = with_groups(sample, groups)
    monkeypatch.setattr("fastchat.ranking.clusters.CELLS", 5 * 4)
    np.testing.assert_allclose(with_groups(sample, groups).covariance, whole.covariance, rtol=1e-12)


def test_only_the_errors_change_and_the_result_says_how() -> None:
    sample = drawn(5, 200)
    plain = fit(sample)
    groups = np.append(np.arange(199, dtype=np.int32) // 2, np.int32(NOBODY))
    found = clustered(plain, sample, groups)
    np.testing.assert_array_equal(found.strengths, plain.strengths)
    assert found.digest == plain.digest
    assert (found.parameters["covariance"], found.parameters["groups"]) == ("clustered", 101)
    assert found.parameters["notes"] == plain.parameters["notes"]
    assert len(found.parameters["groups_digest"]) == 64


def test_what_was_not_fitted_from_these_votes_is_refused() -> None:
    sample = drawn(4, 50)
    groups = np.zeros(50, np.int32)
    with pytest.raises(ValueError, match="both-bad votes are drop here, and half in the estimates"):
        clustered(fit(sample), sample, groups, BothBad.DROP)
    with pytest.raises(ValueError, match="bradley-terry, and these estimates are luce-with-neither's"):
        clustered(fit(sample, BothBad.OWN), sample, groups, BothBad.OWN)
    with pytest.raises(ValueError, match="other models"):
        clustered(fit(drawn(5, 50)), sample, groups)
    with pytest.raises(ValueError, match="3 codes of groups for 50 comparisons"):
        clustered(fit(sample), sample, groups[:3])


def test_both_bad_votes_that_are_dropped_are_dropped_here_too() -> None:
    sample = drawn(5, 400)
    groups = np.arange(400, dtype=np.int32) // 9
    kept = sample.outcome != Outcome.BOTH_BAD
    assert not kept.all()
    dropped = with_groups(sample, groups, BothBad.DROP)
    np.testing.assert_allclose(
        dropped.covariance, with_groups(sample.select(kept), groups[kept]).covariance, rtol=1e-12
    )
