"""Rank sets, tiers, and the critical value that all pairs share."""

import csv
import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import norm, studentized_range

from fastchat.ranking import ranks
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Floats, Outcome, comparisons
from fastchat.ranking.counts import Counts
from fastchat.ranking.intervals import difference_errors
from fastchat.ranking.ranks import probability_better, rank_sets
from fastchat.ranking.results import Estimates
from tests.ranking.samples import drawn, names, relabelled, repeated, votes, wins

DATA = Path(__file__).parents[1] / "data"


def estimates(strengths: Floats | list[float], covariance: Floats | float = 1.0, component: list[int] | None = None):
    """`covariance` 1.0: independent strengths, of variance 1 before they are centred."""
    size = len(strengths)
    component_of = np.array(component or [0] * size, np.int32)
    same = component_of[:, None] == component_of
    centre = np.eye(size) - same / same.sum(axis=1)
    return Estimates(
        models=names(size),
        strengths=np.array(strengths, np.float64),
        covariance=centre @ (covariance * np.eye(size) if np.ndim(covariance) == 0 else covariance) @ centre,
        votes=np.ones(size, np.int64),
        component=component_of,
        unbounded=np.zeros(size, np.int8),
        method="by hand",
        parameters={},
        digest="",
        version="",
    )


def chain(size: int) -> Floats:
    """Each strength is the one before and something of its own: neighbours are known from each other far better."""
    return np.minimum.outer(np.arange(size), np.arange(size)) + 1.0


def unequal(size: int) -> Floats:
    return np.diag(np.geomspace(0.01, 10, size))


def test_of_two_models_it_is_the_normals() -> None:
    found = rank_sets(estimates([0, 0]), draws=40_000)

    assert found.critical_value == pytest.approx(norm.ppf(0.975), abs=0.03)
    assert found.critical_error == pytest.approx(np.sqrt(0.05 * 0.95 / 40_000) / (2 * norm.pdf(1.96)), rel=0.3)


@pytest.mark.parametrize(("models", "confidence"), [(3, 0.95), (10, 0.95), (40, 0.9), (130, 0.95)])
def test_of_equally_known_models_it_is_tukeys(models: int, confidence: float) -> None:
    found = rank_sets(estimates([0] * models), confidence, draws=20_000)
    tukey = studentized_range.ppf(confidence, models, np.inf) / np.sqrt(2)

    assert found.critical_error is not None
    assert found.critical_value == pytest.approx(tukey, abs=4 * found.critical_error)
    assert found.critical_error < 0.03


def any_covariance(size: int, seed: int) -> Floats:
    factors = np.random.default_rng(seed).normal(size=(size, size))
    return factors @ np.diag(np.geomspace(0.01, 10, size)) @ factors.T


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize("covariance", [1.0, chain(30), unequal(30), *(any_covariance(8, seed) for seed in range(8))])
def test_looking_at_few_draws_gives_what_looking_at_all_gives(covariance: Floats | float, confidence: float) -> None:
    size = 30 if np.ndim(covariance) == 0 else len(covariance)
    of = estimates([0] * size, covariance)
    found = rank_sets(of, confidence, draws=1000)
    normal = np.random.default_rng(0).standard_normal((size, 1000), dtype=np.float32)
    root, errors = ranks._root(of), difference_errors(of)
    deviations = root @ normal
    one, other = np.triu_indices(size, 1)
    largest = (np.abs(deviations[one] - deviations[other]) / errors[one, other][:, None]).max(axis=0)
    inverse = np.divide(1, errors, where=errors > 0, out=np.zeros_like(errors))

    assert (ranks._bounds(np.square(root).sum(axis=1), deviations, inverse) >= largest).all()
    exact = np.sort(largest)[int(np.ceil(confidence * 1001)) - 1]
    assert exact - 1e-4 <= found.critical_value <= exact + 0.0011


def test_what_is_drawn_has_the_covariance_of_the_differences() -> None:
    fit = fit_bradley_terry(Counts.of(drawn(6, 500)))
    root = ranks._root(fit)

    np.testing.assert_allclose(
        difference_errors(replace(fit, covariance=root @ root.T)), difference_errors(fit), rtol=1e-6
    )


def test_ranks_that_are_left_open() -> None:
    """Differences have to be about 3 x 1.41 x 0.1."""
    found = rank_sets(estimates([0, 3, 0.1, 2.9, 5], 0.01))

    assert found.lower.tolist() == [4, 2, 4, 2, 1]
    assert found.upper.tolist() == [5, 3, 5, 3, 1]
    assert found.tiers.tolist() == [3, 2, 3, 2, 1]
    assert found.separated[0, 1]
    assert found.separated[1, 0]
    assert not found.separated[1, 3]


def test_tiers_end_only_where_all_above_are_separated_from_all_below() -> None:
    """Here each is separated from all but its neighbours, so that no cut is sure, but for the last."""
    found = rank_sets(estimates([2.1, 1.8, 1.5, 1.2, 0], 0.01))

    assert found.upper.tolist() == [2, 3, 4, 4, 5]
    assert found.tiers.tolist() == [1, 1, 1, 1, 2]


def test_a_model_nobody_knows_well_keeps_all_tiers_together() -> None:
    """The others are separated from each other, and so they would be a tier each."""
    found = rank_sets(estimates([3, 2.9, 1, 0], np.diag([9, 1e-6, 1e-6, 1e-6])))

    assert found.lower.tolist() == [1, 1, 2, 3]
    assert found.tiers.tolist() == [1, 1, 1, 1]


@settings(deadline=None, max_examples=60)
@given(votes())
def test_laws_of_ranks_and_tiers(sample: Comparisons) -> None:
    fit = fit_bradley_terry(Counts.of(sample))
    found = rank_sets(fit, draws=200)

    for component in np.unique(fit.component):
        members = np.flatnonzero(fit.component == component)
        ordered = members[np.argsort(-fit.strengths[members], kind="stable")]
        place = np.arange(1, len(members) + 1)
        assert (found.lower[ordered] <= place).all()
        assert (found.upper[ordered] >= place).all()
        assert (np.diff(found.tiers[ordered]) >= 0).all()
        for one in members:
            for other in members:
                if found.tiers[one] != found.tiers[other]:
                    assert found.separated[one, other]
    assert not found.separated[fit.component[:, None] != fit.component].any()
    np.testing.assert_array_equal(found.separated, found.separated.T)


def test_labels_do_not_matter() -> None:
    sample = drawn(5, 3000)
    order = [3, 0, 4, 1, 2]
    given_ranks = rank_sets(fit_bradley_terry(Counts.of(sample)), draws=20_000)
    found = rank_sets(fit_bradley_terry(Counts.of(relabelled(sample, order))), draws=20_000)

    np.testing.assert_array_equal(found.lower[order], given_ranks.lower)
    assert found.critical_value == pytest.approx(given_ranks.critical_value, abs=0.05)


def test_ranks_count_within_a_component() -> None:
    found = rank_sets(estimates([1, -1, 2, -2], 0.01, component=[0, 0, 1, 1]))

    assert found.lower.tolist() == [1, 2, 1, 2]
    assert found.tiers.tolist() == [1, 2, 1, 2]
    assert not found.separated[0, 3]
    assert found.critical_value == pytest.approx(norm.ppf(1 - (1 - np.sqrt(0.95)) / 2), abs=0.1)  # of two pairs


def test_the_same_seed_gives_the_same() -> None:
    fit = fit_bradley_terry(Counts.of(drawn(5, 300)))
    one, again, other = (rank_sets(fit, seed=seed).critical_value for seed in (0, 0, 1))

    assert one == again != other


def test_more_confidence_separates_less() -> None:
    fit = fit_bradley_terry(Counts.of(drawn(12, 3000)))
    bold, careful = rank_sets(fit, 0.5), rank_sets(fit, 0.99)

    assert careful.separated.sum() < bold.separated.sum()
    assert (careful.upper - careful.lower >= bold.upper - bold.lower).all()


@pytest.mark.parametrize("confidence", [0.001, 0.5, 0.95])
def test_few_draws_and_little_confidence_do(confidence: float) -> None:
    found = rank_sets(estimates([0, 1, 2]), confidence, draws=100)

    assert found.critical_value is not None
    assert found.critical_value > 0


def test_where_all_votes_are_ties_nobody_is_better() -> None:
    fit = fit_bradley_terry(Counts.of(repeated(wins("a=b", "b=c"), 50)))
    found = rank_sets(fit)

    assert found.critical_value is None
    assert (found.lower.tolist(), found.upper.tolist()) == ([1, 1, 1], [3, 3, 3])
    assert found.tiers.tolist() == [1, 1, 1]
    np.testing.assert_array_equal(probability_better(fit), np.full((3, 3), 0.5))


def test_rounding_errors_where_nothing_varies_are_no_errors() -> None:
    noise = np.diag([1e-33, 2e-33, 3e-33])
    noise[0, 1] = noise[1, 0] = -2e-33  # no covariance can have this
    fit = replace(fit_bradley_terry(Counts.of(drawn(3, 100))), strengths=np.zeros(3), covariance=noise)
    found = rank_sets(fit)
    assert found.critical_value is None
    assert not found.separated.any()


def test_a_model_alone_is_first() -> None:
    found = rank_sets(estimates([0.0]))

    assert (found.lower.tolist(), found.upper.tolist(), found.critical_value) == ([1], [1], None)


def test_one_vote_separates_nobody_and_many_do() -> None:
    once = fit_bradley_terry(Counts.of(wins("a>b")))
    always = fit_bradley_terry(Counts.of(repeated(wins("a>b"), 1000)))

    assert rank_sets(once).upper.tolist() == [2, 2]
    assert rank_sets(always).upper.tolist() == [1, 2]


def test_probability_better_is_the_normals() -> None:
    found = probability_better(estimates([1, 0, -1], 2.0))

    assert found[0, 1] == pytest.approx(norm.cdf(0.5))
    np.testing.assert_allclose(found + found.T, 1)
    apart = probability_better(replace(estimates([1, -1, 0]), component=np.array([0, 0, 1], np.int32)))
    assert np.isnan(apart[0, 2])


def test_what_real_votes_leave_open() -> None:
    """LLMFAO's 8,931 votes on 59 models (reference: 655 pairs by a prototype's draws, and no neighbours)."""
    with gzip.open(DATA / "llmfao" / "crowd-comparisons.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    worth = {"left": Outcome.LEFT, "right": Outcome.RIGHT, "tie": Outcome.TIE}
    left, right = ([row[side] for row in rows] for side in ("left", "right"))
    fit = fit_bradley_terry(Counts.of(comparisons(left, right, [worth[row["winner"]] for row in rows])))
    found = rank_sets(fit)
    order = np.argsort(-fit.strengths)

    assert found.separated.sum() / 2 == pytest.approx(655, abs=10)
    assert not found.separated[order[:-1], order[1:]].any()
    assert found.tiers.max() == 1
    assert fit.models[order[0]] == "GPT 4"
    assert found.lower[order[0]] == 1
    assert 10 < found.upper[order[0]] < 35


def test_what_cannot_be_asked_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rank_sets(estimates([0, 1]), 95)
    with pytest.raises(ValueError, match=r"too few for a confidence of 0\.999; take 5000"):
        rank_sets(estimates([0, 1]), 0.999, draws=1000)
