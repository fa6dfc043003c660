"""Votes drawn again give the spread that the sandwich computes, and every round follows the fit's rules."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import binom, chisquare

from fastchat.ranking.bootstrap import _multinomials, bootstrap, bootstrap_clusters, refit
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.clusters import clustered
from fastchat.ranking.comparisons import NOBODY, Comparisons
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.intervals import interval
from fastchat.ranking.likelihood import fold
from fastchat.ranking.results import Estimates, Unbounded
from tests.ranking.samples import drawn, repeated, votes, wins


def worth_of(sample: Comparisons) -> np.ndarray:
    return fold(Counts.of(sample).weights, BothBad.HALF).worth


def median_ratio(found: Estimates, expected: Estimates) -> float:
    return float(np.median(found.errors / expected.errors))


@settings(deadline=None, max_examples=150)
@given(votes())
def test_a_round_is_fitted_as_the_fit_does(sample: Comparisons) -> None:
    for ridge in (0.0, 0.5):
        fit = fit_bradley_terry(Counts.of(sample), ridge=ridge)
        found = refit(worth_of(sample)[None], np.zeros(len(fit.models)), fit.component, ridge)
        np.testing.assert_allclose(found[0], fit.strengths, atol=1e-8)


def test_rounds_are_fitted_side_by_side() -> None:
    samples = [drawn(6, 300, seed=seed, spread=4.0) for seed in range(5)]
    together = refit(np.stack([worth_of(sample) for sample in samples]), np.zeros(6), np.zeros(6, np.int32))

    for strengths, sample in zip(together, samples, strict=True):
        np.testing.assert_allclose(strengths, fit_bradley_terry(Counts.of(sample)).strengths, atol=1e-9)


def test_it_spreads_as_the_sandwich_says() -> None:
    counts = Counts.of(drawn(8, 20_000))
    fit, found = fit_bradley_terry(counts), bootstrap(counts)

    np.testing.assert_array_equal(found.strengths, fit.strengths)
    np.testing.assert_allclose(found.errors, fit.errors, rtol=0.1)
    assert median_ratio(found, fit) == pytest.approx(1, abs=0.05)
    assert found.draws is not None
    assert found.draws.shape == (1000, 8)
    np.testing.assert_allclose(found.draws.sum(axis=1), 0, atol=1e-9)
    assert found.parameters["rounds"] == 1000


def test_weights_that_differ_within_a_pair_count() -> None:
    counts = Counts.of(drawn(6, 20_000, is_weighted=True))

    assert median_ratio(bootstrap(counts), fit_bradley_terry(counts)) == pytest.approx(1, abs=0.05)


def test_equal_weights_change_nothing() -> None:
    counts = Counts.of(drawn(5, 500))
    heavier = Counts(counts.models, counts.votes, 3 * counts.weights, 9 * counts.squares)

    one, other = bootstrap(counts, rounds=20).draws, bootstrap(heavier, rounds=20).draws
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one, other, atol=1e-8)


def test_the_seed_says_all() -> None:
    counts = Counts.of(drawn(5, 500))
    first, again, other = (bootstrap(counts, rounds=30, seed=seed).draws for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_as_many_votes_as_there_are_are_drawn_each_time() -> None:
    cells = np.array([5, 1, 900, 44, 50])
    blocks = list(_multinomials(cells, 4000, np.random.default_rng(0)))
    drawn_votes = np.concatenate(blocks)
    shares = cells / 1000

    assert set(drawn_votes.sum(axis=1)) == {1000}
    np.testing.assert_allclose(drawn_votes.mean(axis=0), cells, atol=0.6)
    exact = 1000 * (np.diag(shares) - np.outer(shares, shares))
    np.testing.assert_allclose(np.cov(drawn_votes, rowvar=False), exact, atol=6)


@pytest.mark.parametrize("number", [3, 40])
def test_draws_are_multinomial(number: int) -> None:
    """Few votes are all filled up, more come from Poisson numbers: of two cells, both are binomial."""
    cells = np.array([number // 3, number - number // 3])
    first = np.concatenate(list(_multinomials(cells, 6000, np.random.default_rng(1))))[:, 0]
    places = np.arange(number + 1)
    expected = binom.pmf(places, number, cells[0] / number) * 6000
    often = expected > 5
    seen = Counter(first.tolist())
    observed = np.array([seen[place] for place in places])
    table = np.array([*observed[often], observed[~often].sum()]), np.array([*expected[often], expected[~often].sum()])

    assert chisquare(table[0][table[1] > 0], table[1][table[1] > 0]).pvalue > 0.001


def test_rounds_without_an_optimum_are_given_the_imagined_ties() -> None:
    counts = Counts.of(wins("a>b", "b>a", "b>c", "c>b"))
    found = bootstrap(counts, rounds=200)

    assert not found.unbounded.any()
    assert found.draws is not None
    assert np.isfinite(found.draws).all()
    assert np.abs(found.draws).max() < 10


def test_a_model_that_always_wins_is_not_made_out_as_certain() -> None:
    counts = Counts.of(repeated(wins("b>c", "c>b", "a>b", "a>c", "b=c"), 20))
    fit, found = fit_bradley_terry(counts), bootstrap(counts)
    low, high = interval(found)

    assert found.unbounded.tolist() == [Unbounded.ABOVE, 0, 0]
    assert found.draws is not None
    assert found.draws[:, 0].std() < fit.errors[0]
    assert found.errors[0] == pytest.approx(fit.errors[0])
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * fit.errors[0], rel=1e-3)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-9


def test_components_stay_apart() -> None:
    found = bootstrap(Counts.of(repeated(wins("a>b", "b>a", "a>b", "c>d", "d>c"), 30)), rounds=100)

    assert found.draws is not None
    np.testing.assert_allclose(found.draws[:, :2].sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(found.draws[:, 2:].sum(axis=1), 0, atol=1e-9)
    assert not found.covariance[:2, 2:].any()


@pytest.mark.parametrize("both_bad", [BothBad.HALF, BothBad.DROP])
def test_voters_of_one_vote_are_votes(both_bad: BothBad) -> None:
    sample = drawn(5, 3000)
    counts = Counts.of(sample)
    alone = np.full(len(sample), NOBODY, np.int32)

    by_vote = bootstrap(counts, both_bad=both_bad)
    by_voter = bootstrap_clusters(sample, alone, both_bad=both_bad)
    assert median_ratio(by_voter, by_vote) == pytest.approx(1, abs=0.06)
    assert by_voter.parameters["groups"] == 3000


def test_voters_who_repeat_themselves_count_once() -> None:
    sample = drawn(5, 1000)
    tenfold = repeated(sample, 10)
    voters = np.tile(np.arange(1000, dtype=np.int32), 10)

    found = bootstrap_clusters(tenfold, voters)
    assert median_ratio(found, fit_bradley_terry(Counts.of(sample))) == pytest.approx(1, abs=0.06)


def test_it_spreads_as_the_clustered_sandwich_says() -> None:
    sample = drawn(6, 6000, is_weighted=True)
    voters = (np.arange(6000) // 20).astype(np.int32)
    alike = sample.select(np.lexsort((sample.outcome, sample.right, sample.left)))  # voters who always say the same
    fit = fit_bradley_terry(Counts.of(alike))

    found = bootstrap_clusters(alike, voters)
    assert median_ratio(found, clustered(fit, alike, voters)) == pytest.approx(1, abs=0.06)
    assert median_ratio(found, fit) > 2


def test_what_cannot_be_drawn_is_refused_in_words() -> None:
    counts = Counts.of(drawn(4, 50))
    with pytest.raises(ValueError, match="at least 2 rounds"):
        bootstrap(counts, rounds=1)
    with pytest.raises(ValueError, match="outcome of its own"):
        bootstrap(counts, both_bad=BothBad.OWN)
    with pytest.raises(ValueError, match="no vote"):
        bootstrap(Counts.empty(["a", "b"]))
