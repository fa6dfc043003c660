from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import NOBODY, Comparisons, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.results import Unbounded
from fastchat.ranking.style import LEFT_SIDE, fit_style
from tests.ranking.samples import drawn, names, swapped, votes, wins, worth

PLANTED = {"length": 0.186, "headers": 0.036, "lists": 0.058, "bold": 0.027}
NEXT_TO_NONE = 1e-9


def styled(models: int = 8, rows: int = 4000, seed: int = 0, *, left_side: float = 0.0, **more: Any) -> Comparisons:
    """Of votes whose half wins are on average what style and strengths say, a quarter or so of them ties."""
    rng = np.random.default_rng(seed)
    strengths = np.linspace(-1, 1, models)
    left = rng.integers(models, size=rows)
    right = (left + rng.integers(1, models, size=rows)) % models
    covariates = {name: rng.standard_normal(rows) for name in PLANTED}
    # Stronger models write longer, so whoever leaves length out gets their strengths wrong.
    covariates["length"] += strengths[left] - strengths[right]
    style = sum(PLANTED[name] * column for name, column in covariates.items())
    chance = 1 / (1 + np.exp(strengths[right] - strengths[left] - style - left_side))
    tie = 0.7 * np.minimum(chance, 1 - chance)
    lot = rng.random(rows)
    outcome = np.where(
        lot < chance - tie / 2, Outcome.LEFT, np.where(lot < chance + tie / 2, Outcome.TIE, Outcome.RIGHT)
    )
    return Comparisons(
        names(models),
        left.astype(np.int32),
        right.astype(np.int32),
        outcome.astype(np.int8),
        covariates=covariates,
        **more,
    )


def design_of(sample: Comparisons, *, side: bool) -> Floats:
    """(n, models + covariates), in full."""
    rows = np.arange(len(sample))
    design = np.zeros((len(sample), len(sample.models)))
    design[rows, sample.left], design[rows, sample.right] = 1, -1
    ones = [np.ones(len(sample))] if side else []
    return np.column_stack([design, *sample.covariates.values(), *ones])


def logistic(sample: Comparisons, *, side: bool) -> Floats:
    """Strengths and coefficients by scikit-learn: every vote as a win and a loss, weighted by what it was worth."""
    design, won = design_of(sample, side=side)[:, 1:], worth(sample)
    weight = np.ones(len(sample)) if sample.weight is None else sample.weight
    model = LogisticRegression(C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=200)
    model.fit(np.vstack([design, design]), np.repeat([1, 0], len(won)), np.append(weight * won, weight * (1 - won)))
    found = np.append(0.0, model.coef_[0])
    found[: len(sample.models)] -= found[: len(sample.models)].mean()
    return found


def sandwich(sample: Comparisons, found: Floats, groups: Floats, *, side: bool) -> Floats:
    """The covariance of everything at `found`, with pseudo-inverses of full matrices."""
    design = design_of(sample, side=side)
    weight = np.ones(len(sample)) if sample.weight is None else sample.weight
    chance = 1 / (1 + np.exp(-design @ found))
    scores = (weight * (worth(sample) - chance))[:, None] * design
    sums = (groups == np.unique(groups)[:, None]) @ scores
    bread = np.linalg.pinv((design * (weight * chance * (1 - chance))[:, None]).T @ design, hermitian=True, rcond=1e-10)
    return bread @ sums.T @ sums @ bread


def test_planted_coefficients_are_recovered_as_closely_as_the_errors_say() -> None:
    off = []
    for seed in range(12):
        coefficients = fit_style(styled(models=20, rows=10_000, seed=seed)).coefficients
        off += [(estimate - PLANTED[name]) / error for name, (estimate, error) in coefficients.items()]

    assert np.abs(off).max() < 3.5  # of 48, one in 45 times by chance
    assert 0.7 < np.std(off) < 1.3


def test_planted_strengths_are_recovered_from_votes_that_style_has_moved() -> None:
    sample = styled(models=20, rows=60_000)

    estimates = fit_style(sample)

    planted = np.linspace(-1, 1, 20)
    assert (np.abs(estimates.strengths - planted) < 3.5 * estimates.errors).all()
    plain = fit_bradley_terry(Counts.of(sample))
    assert np.abs(plain.strengths - planted).max() > 5 * plain.errors.max()


@pytest.mark.parametrize("side", [False, True])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_it_is_the_logistic_regression_on_the_whole_design(side: bool, is_weighted: bool) -> None:
    sample = styled(seed=1, left_side=0.1)
    if is_weighted:
        sample = replace(sample, weight=np.random.default_rng(0).uniform(0.2, 3, len(sample)))

    estimates = fit_style(sample, covariate_ridge=NEXT_TO_NONE, side=side)

    found = logistic(sample, side=side)
    assert estimates.strengths == pytest.approx(found[:8], abs=1e-6)
    assert [estimate for estimate, _ in estimates.coefficients.values()] == pytest.approx(found[8:], abs=1e-6)
    assert list(estimates.coefficients) == [*PLANTED, *([LEFT_SIDE] if side else [])]
    covariance = sandwich(sample, found, np.arange(len(sample)), side=side)
    assert estimates.covariance == pytest.approx(covariance[:8, :8], abs=1e-7 * covariance.max())
    errors = np.sqrt(np.diagonal(covariance)[8:])
    assert [error for _, error in estimates.coefficients.values()] == pytest.approx(errors, rel=1e-6)


def test_fastchats_style_control_is_its_special_case() -> None:
    """Its loss, written out: strengths over ln(10), half of half the squares of them and of the coefficients."""
    sample = styled(rows=800, seed=6)
    design, won = design_of(sample, side=False), worth(sample)
    design[:, :8] *= np.log(10)

    def loss(unknown: Floats) -> float:
        log_odds = design @ unknown
        return float(np.logaddexp(0, log_odds).sum() - won @ log_odds + 0.25 * unknown @ unknown)

    published = minimize(loss, np.zeros(12), method="L-BFGS-B", options={"gtol": 1e-9, "ftol": 1e-15}).x
    estimates = fit_style(sample, ridge=0.5 / np.log(10) ** 2, covariate_ridge=0.5)

    assert estimates.strengths == pytest.approx(np.log(10) * published[:8], abs=1e-4)
    assert [estimate for estimate, _ in estimates.coefficients.values()] == pytest.approx(published[8:], abs=1e-4)


def test_votes_of_one_voter_are_one_draw() -> None:
    sample = styled(rows=1500, seed=2)
    voters = np.random.default_rng(0).integers(40, size=len(sample)).astype(np.int32)
    voters[:200] = NOBODY

    estimates = fit_style(sample, covariate_ridge=NEXT_TO_NONE, clusters=voters)

    groups = np.where(voters == NOBODY, 1000 + np.arange(len(sample)), voters)
    found = np.append(estimates.strengths, [estimate for estimate, _ in estimates.coefficients.values()])
    covariance = sandwich(sample, found, groups, side=False)
    assert estimates.covariance == pytest.approx(covariance[:8, :8], abs=1e-7 * covariance.max())
    assert estimates.coefficients["length"].error == pytest.approx(covariance[8, 8] ** 0.5, rel=1e-6)
    assert estimates.parameters["covariance"] == "clustered"
    assert estimates.parameters["groups"] == 240


def test_voters_of_one_vote_each_change_nothing() -> None:
    sample = drawn(5, 300)
    sample = replace(sample, covariates={"length": np.random.default_rng(0).standard_normal(300)})

    of_voters = fit_style(sample, both_bad=BothBad.DROP, clusters=np.arange(300, dtype=np.int32))

    of_votes = fit_style(sample, both_bad=BothBad.DROP)
    assert of_voters.covariance == pytest.approx(of_votes.covariance, abs=1e-12)
    assert of_voters.parameters["groups"] == of_votes.votes.sum() / 2 < 300


@pytest.mark.parametrize("both_bad", [BothBad.HALF, BothBad.DROP])
@settings(deadline=None, max_examples=60)
@given(votes(), st.sampled_from([0.0, 0.3]))
def test_without_covariates_it_is_bradley_terry(both_bad: BothBad, sample: Comparisons, ridge: float) -> None:
    if both_bad is BothBad.DROP and (sample.outcome == Outcome.BOTH_BAD).all():
        return

    estimates = fit_style(sample, both_bad=both_bad, ridge=ridge)

    plain = fit_bradley_terry(Counts.of(sample), both_bad=both_bad, ridge=ridge)
    assert estimates.strengths == pytest.approx(plain.strengths, abs=1e-9)
    assert estimates.covariance == pytest.approx(plain.covariance, abs=1e-9)
    for field in ("votes", "component", "unbounded"):
        assert np.array_equal(getattr(estimates, field), getattr(plain, field))
    assert estimates.parameters["notes"] == plain.parameters["notes"]
    assert not estimates.coefficients


@settings(deadline=None, max_examples=60)
@given(votes(), st.sampled_from([0.0, 1e-6]), st.integers(0, 2**32 - 1))
def test_any_votes_and_covariates_have_finite_estimates_that_do_not_depend_on_sides(
    sample: Comparisons, ridge: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sample = replace(sample, covariates={"length": rng.standard_normal(len(sample)) * 3})
    turned = rng.random(len(sample)) < 0.5
    mirrored = replace(
        swapped(sample, turned), covariates={"length": np.where(turned, -1, 1) * sample.covariates["length"]}
    )

    estimates, of_mirrored = fit_style(sample, ridge=ridge), fit_style(mirrored, ridge=ridge)

    assert np.isfinite(estimates.strengths).all()
    assert np.isfinite(estimates.covariance).all()
    assert estimates.strengths == pytest.approx(of_mirrored.strengths, abs=1e-6)
    assert np.array(list(estimates.coefficients.values())) == pytest.approx(
        np.array(list(of_mirrored.coefficients.values())), rel=1e-6, abs=1e-6
    )


def test_the_left_side_is_found_and_does_not_move_models_that_stand_on_both() -> None:
    estimates = fit_style(styled(rows=40_000, seed=5, left_side=0.15), side=True)

    estimate, error = estimates.coefficients[LEFT_SIDE]
    assert estimate == pytest.approx(0.15, abs=3 * error)
    assert np.abs(estimates.strengths - np.linspace(-1, 1, 8)).max() < 0.06


def test_covariates_that_votes_cannot_tell_are_left_out_and_named() -> None:
    sample = styled(seed=4)
    price = np.arange(8.0) ** 2  # of a model, so its strength says the same
    covariates = {
        **sample.covariates,
        "never": np.zeros(len(sample)),
        "price": price[sample.left] - price[sample.right],
        "length again": 3 * sample.covariates["length"],
    }

    estimates = fit_style(replace(sample, covariates=covariates))

    plain = fit_style(sample)
    assert list(estimates.coefficients) == estimates.parameters["covariates"] == list(PLANTED)
    assert estimates.strengths == pytest.approx(plain.strengths, abs=1e-9)
    assert estimates.covariance == pytest.approx(plain.covariance, abs=1e-9)
    [note] = estimates.parameters["notes"]
    assert "never, price, length again" in note


def test_where_wins_go_one_way_the_rule_is_that_of_bradley_terry() -> None:
    sample = replace(wins("a>b", "b>c", "a>c"), covariates={"length": np.array([0.5, -1.0, 0.2])})

    estimates = fit_style(sample)

    assert np.isfinite(estimates.strengths).all()
    assert list(estimates.unbounded) == [Unbounded.ABOVE, Unbounded.NO, Unbounded.BELOW]
    assert "one tie" in estimates.parameters["notes"][0]


def test_groups_without_a_vote_between_them_share_the_coefficient_only() -> None:
    one, two = styled(models=3, rows=500, seed=1), styled(models=3, rows=300, seed=2)
    both = Comparisons(
        names(6),
        np.append(one.left, two.left + 3),
        np.append(one.right, two.right + 3),
        np.append(one.outcome, two.outcome),
        covariates={name: np.append(one.covariates[name], two.covariates[name]) for name in PLANTED},
    )

    estimates = fit_style(both)

    assert list(estimates.component) == [0, 0, 0, 1, 1, 1]
    assert estimates.strengths[:3].sum() == pytest.approx(0)
    assert estimates.strengths[3:].sum() == pytest.approx(0)
    assert (estimates.covariance[:3, 3:] == 0).all()


@pytest.mark.parametrize(
    ("changed", "options", "what"),
    [
        ({}, {"both_bad": BothBad.OWN}, "not own"),
        ({}, {"covariate_ridge": 0.0}, "above 0"),
        ({}, {"ridge": -1.0}, "from 0 on"),
        ({"covariates": {"length": np.array([1.0, np.nan])}}, {}, "length is no finite number in 1 of 2"),
        ({"covariates": {LEFT_SIDE: np.ones(2)}}, {"side": True}, LEFT_SIDE),
        ({}, {"clusters": np.zeros(3, np.int32)}, "3 codes of clusters for 2"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_words(changed: Any, options: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        fit_style(replace(wins("a>b", "b>a"), **changed), **options)
