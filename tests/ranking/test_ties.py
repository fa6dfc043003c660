"""The likelihoods are written out here vote by vote, and minimised by scipy."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, minimize

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.results import Estimates, Unbounded
from fastchat.ranking.ties import TIE, fit_davidson, fit_rao_kupper
from tests.ranking.samples import drawn, names, repeated, votes, wins


def davidson(left: Floats, right: Floats, tie: Floats) -> Floats:
    """(3, n): that left wins, right wins, it is a tie."""
    a, b, nu = np.exp(left), np.exp(right), np.exp(tie)
    return np.array([a, b, nu * np.sqrt(a * b)]) / (a + b + nu * np.sqrt(a * b))


def rao_kupper(left: Floats, right: Floats, tie: Floats) -> Floats:
    a, b, theta = np.exp(left), np.exp(right), np.exp(tie)
    won, lost = a / (a + theta * b), b / (b + theta * a)
    return np.array([won, lost, 1 - won - lost])


FITS = {
    "davidson": (fit_davidson, davidson, 0.3),
    "rao-kupper": (fit_rao_kupper, rao_kupper, 0.6),
}
either = pytest.mark.parametrize(("fit", "chances", "tie"), FITS.values(), ids=FITS)
Fit = Callable[..., Estimates]
Chances = Callable[[Floats, Floats, Floats], Floats]


def of(sample: Comparisons) -> Floats:
    """(n,): the row of the chances that came true, both-bad being a tie."""
    return np.minimum(sample.outcome, Outcome.TIE)


def surprises(sample: Comparisons, chances: Chances, unknown: Floats) -> Floats:
    """(n,): of the votes, at strengths and a tie."""
    chance = chances(unknown[sample.left], unknown[sample.right], unknown[-1])
    weight = np.ones(len(sample)) if sample.weight is None else sample.weight
    return -weight * np.log(chance[of(sample), np.arange(len(sample))])


def planted(models: int, rows: int, chances: Chances, tie: float, seed: int = 0) -> Comparisons:
    rng = np.random.default_rng(seed)
    strengths = np.linspace(-1, 1, models)
    left = rng.integers(models, size=rows)
    right = (left + rng.integers(1, models, size=rows)) % models
    chance = chances(strengths[left], strengths[right], np.array(tie))
    outcome = (rng.random(rows) > np.cumsum(chance, axis=0)).sum(axis=0)
    return Comparisons(names(models), left.astype(np.int32), right.astype(np.int32), outcome.astype(np.int8))


@either
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_it_is_the_maximum_of_the_likelihood_written_out(
    fit: Fit, chances: Chances, tie: float, is_weighted: bool, ridge: float
) -> None:
    sample = drawn(5, 400, is_weighted=is_weighted)

    estimates = fit(Counts.of(sample), ridge=ridge)

    def loss(unknown: Floats) -> float:
        return float(surprises(sample, chances, unknown).sum() + (ridge / 2 + 1e-3) * (unknown[:-1] @ unknown[:-1]))

    def exact(unknown: Floats) -> float:
        return loss(unknown) - 1e-3 * float(unknown[:-1] @ unknown[:-1])

    found = np.append(estimates.strengths, estimates.coefficients[TIE].estimate)
    start = minimize(exact, np.append(np.zeros(5), tie), method="BFGS", options={"gtol": 1e-6}).x
    centred = np.append(start[:5] - start[:5].mean(), start[5])
    assert found == pytest.approx(centred, abs=2e-5)
    assert exact(found) <= exact(centred) + 1e-9
    assert np.abs(approx_fprime(found, exact, 1e-6)).max() < 1e-3


@either
def test_errors_are_the_sandwich_of_the_votes(fit: Fit, chances: Chances, tie: float) -> None:
    sample = planted(4, 600, chances, tie)

    estimates = fit(Counts.of(sample))

    found = np.append(estimates.strengths, estimates.coefficients[TIE].estimate)
    scores = _jacobian(lambda unknown: surprises(sample, chances, unknown), found)
    hessian = _jacobian(
        lambda unknown: _jacobian(lambda there: surprises(sample, chances, there), unknown).sum(axis=0), found
    )
    bread = np.linalg.pinv(hessian, rcond=1e-6)
    covariance = bread @ scores.T @ scores @ bread
    assert estimates.covariance == pytest.approx(covariance[:4, :4], abs=1e-4 * covariance.max())
    assert estimates.coefficients[TIE].error == pytest.approx(covariance[4, 4] ** 0.5, rel=1e-4)


def _jacobian(function: Callable[[Floats], Floats], at: Floats, step: float = 1e-4) -> Floats:
    """(values, unknowns), by central differences."""
    steps = step * np.eye(len(at))
    return np.stack([(function(at + one) - function(at - one)) / (2 * step) for one in steps], axis=-1)


@either
def test_planted_strengths_and_ties_are_recovered(fit: Fit, chances: Chances, tie: float) -> None:
    estimates = fit(Counts.of(planted(10, 40_000, chances, tie)))

    assert estimates.coefficients[TIE].estimate == pytest.approx(tie, abs=3 * estimates.coefficients[TIE].error)
    assert estimates.coefficients[TIE].error < 0.02
    assert (np.abs(estimates.strengths - np.linspace(-1, 1, 10)) < 3.5 * estimates.errors).all()


@either
def test_both_bad_votes_are_ties_or_dropped(fit: Fit, chances: Chances, tie: float) -> None:
    counts = Counts.of(drawn(5, 500))

    dropped = fit(counts, both_bad=BothBad.DROP)

    without = fit(counts.without(Outcome.BOTH_BAD))
    assert np.array_equal(dropped.strengths, without.strengths)
    assert dropped.coefficients == without.coefficients
    assert dropped.votes.sum() == without.votes.sum() < fit(counts).votes.sum()
    assert dropped.coefficients[TIE].estimate < fit(counts).coefficients[TIE].estimate
    with pytest.raises(ValueError, match="not own"):
        fit(counts, both_bad=BothBad.OWN)


@either
@pytest.mark.parametrize(
    ("sample", "what"), [(wins("a>b", "b>a", "a>b"), "No vote is a tie"), (wins("a=b", "b=c"), "Every vote is a tie")]
)
def test_without_ties_or_with_nothing_else_it_is_bradley_terry(
    fit: Fit, chances: Chances, tie: float, sample: Comparisons, what: str
) -> None:
    estimates = fit(Counts.of(sample))

    plain = fit_bradley_terry(Counts.of(sample))
    assert np.array_equal(estimates.strengths, plain.strengths)
    assert not estimates.coefficients
    assert what in estimates.parameters["notes"][-1]
    assert estimates.method != plain.method


@either
def test_without_a_circle_of_wins_ties_could_be_anything_and_a_rule_is_applied(
    fit: Fit, chances: Chances, tie: float
) -> None:
    sample = wins("a>b", "a=c", "c=b", "a=c", "c=b")  # linked by ties, so that Bradley-Terry has an optimum
    assert not fit_bradley_terry(Counts.of(sample)).parameters["notes"]

    estimates = fit(Counts.of(sample))

    assert abs(estimates.coefficients[TIE].estimate) < 10
    assert np.argsort(estimates.strengths).tolist() == [1, 2, 0]
    assert "ties could be anything" in estimates.parameters["notes"][0]


@either
@settings(deadline=None, max_examples=60)
@given(st.one_of(votes(), votes(is_weighted=True)), st.sampled_from([0.0, 1e-6, 0.5]))
def test_any_votes_at_all_have_finite_estimates(
    fit: Fit, chances: Chances, tie: float, sample: Comparisons, ridge: float
) -> None:
    estimates = fit(Counts.of(sample), ridge=ridge)

    assert np.isfinite(estimates.strengths).all()
    assert np.isfinite(estimates.covariance).all()
    assert all(np.isfinite(coefficient).all() for coefficient in estimates.coefficients.values())
    plain = fit_bradley_terry(Counts.of(sample), ridge=ridge)
    assert np.array_equal(estimates.unbounded, plain.unbounded)
    for group in range(estimates.component.max() + 1):
        assert estimates.strengths[estimates.component == group].sum() == pytest.approx(0, abs=1e-9)


@either
def test_votes_twice_over_are_the_same_with_half_the_variance(fit: Fit, chances: Chances, tie: float) -> None:
    sample = drawn(5, 500)

    once, twice = fit(Counts.of(sample)), fit(Counts.of(repeated(sample, 2)))

    assert twice.strengths == pytest.approx(once.strengths, abs=1e-9)
    assert twice.covariance == pytest.approx(once.covariance / 2, abs=1e-9)


@either
def test_who_won_all_is_marked(fit: Fit, chances: Chances, tie: float) -> None:
    estimates = fit(Counts.of(wins("a>b", "a>c", "b>c", "c>b", "b=c")))

    assert list(estimates.unbounded) == [Unbounded.ABOVE, Unbounded.NO, Unbounded.NO]
    assert estimates.strengths.argmax() == 0


@either
def test_a_chance_next_to_none_keeps_its_digits(fit: Fit, chances: Chances, tie: float) -> None:
    """The ridge alone keeps these from infinity, where a likelihood of ones has no digits left."""
    sample = wins("a>b", "a=c", "c=b")

    strengths = [fit(Counts.of(sample), ridge=ridge).strengths[0] for ridge in (1e-3, 1e-6, 1e-9)]

    assert strengths[0] < strengths[1] - 3 < strengths[2] - 6
