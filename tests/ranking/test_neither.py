"""The likelihood is written out here vote by vote, and minimised by scipy."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.neither import fit_with_neither
from fastchat.ranking.results import Unbounded
from tests.ranking.samples import drawn, of_rows, votes, wins


def surprises(sample: Comparisons, beside: Floats) -> Floats:
    """(n,): of the votes, at strengths beside "neither"."""
    left, right = np.exp(beside[sample.left]), np.exp(beside[sample.right])
    whole = 1 + left + right
    chance = np.array([left / whole, right / whole, np.sqrt(left * right) / whole, 1 / whole])
    weight = np.ones(len(sample)) if sample.weight is None else sample.weight
    return -weight * np.log(chance[sample.outcome, np.arange(len(sample))])


def jacobian(function: Callable[[Floats], Floats], at: Floats, step: float = 1e-4) -> Floats:
    steps = step * np.eye(len(at))
    return np.stack([(function(at + one) - function(at - one)) / (2 * step) for one in steps], axis=-1)


@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_it_is_the_maximum_of_the_likelihood_written_out(is_weighted: bool, ridge: float) -> None:
    sample = drawn(5, 400, is_weighted=is_weighted)

    estimates = fit_with_neither(Counts.of(sample), ridge=ridge)

    def loss(beside: Floats) -> float:
        return float(surprises(sample, beside).sum() + ridge / 2 * (beside @ beside))

    [location] = estimates.parameters["location"]
    found = estimates.strengths + location["estimate"]
    beside = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-6}).x
    assert found == pytest.approx(beside, abs=2e-5)
    scores = jacobian(lambda there: surprises(sample, there), found)
    hessian = jacobian(lambda at: jacobian(lambda there: surprises(sample, there), at).sum(axis=0), found)
    bread = np.linalg.inv(hessian + ridge * np.eye(5))
    covariance = bread @ scores.T @ scores @ bread
    centring = np.eye(5) - 1 / 5
    assert estimates.covariance == pytest.approx(centring @ covariance @ centring, abs=1e-5 * covariance.max())
    assert location["error"] == pytest.approx(covariance.mean() ** 0.5, rel=1e-4)


def test_bradley_terry_delegates_to_it() -> None:
    counts = Counts.of(drawn(5, 400))

    estimates = fit_bradley_terry(counts, both_bad=BothBad.OWN)

    assert np.array_equal(estimates.strengths, fit_with_neither(counts).strengths)
    assert estimates.method == "luce-with-neither"


def test_the_more_votes_are_both_bad_the_worse_are_all() -> None:
    good, bad = (Outcome.LEFT, Outcome.RIGHT), (Outcome.BOTH_BAD, Outcome.BOTH_BAD)

    def location(*outcomes: Outcome) -> float:
        sample = of_rows(*(("a", "b", outcome) for outcome in outcomes))
        [there] = fit_with_neither(Counts.of(sample)).parameters["location"]
        return float(there["estimate"])

    # Equals of strength s: neither is chosen in 1 of 1 + 2 exp(s).
    assert location(*good, *bad) == pytest.approx(np.log(1 / 2))
    assert location(*good, *good, *bad) == pytest.approx(0)
    assert location(*good, *good, *good, *good, *bad) == pytest.approx(np.log(2))


def test_what_was_chosen_over_neither_counts_also_between_models_that_never_met() -> None:
    """Within a component, strengths beside "neither" say more than who beat whom."""
    link = [("a", "b", Outcome.LEFT), ("a", "b", Outcome.RIGHT), ("b", "c", Outcome.LEFT), ("b", "c", Outcome.RIGHT)]
    sample = of_rows(*link, *[("b", "c", Outcome.BOTH_BAD)] * 3, ("a", "b", Outcome.BOTH_BAD))

    estimates = fit_with_neither(Counts.of(sample))

    assert estimates.strengths[0] > estimates.strengths[2] + 0.3


def test_without_a_both_bad_vote_the_rule_says_so_and_the_order_stays() -> None:
    sample = wins(*["a>b"] * 30, *["b>a"] * 20, *["b>c"] * 30, *["c>b"] * 25)

    estimates = fit_with_neither(Counts.of(sample))

    plain = fit_bradley_terry(Counts.of(sample))
    assert estimates.strengths == pytest.approx(plain.strengths, abs=0.02)
    assert estimates.parameters["location"][0]["estimate"] > 2
    assert "no bound to how far" in estimates.parameters["notes"][0]
    assert "one tie with neither" in estimates.parameters["notes"][1]
    assert list(estimates.unbounded) == [Unbounded.NO] * 3


@settings(deadline=None, max_examples=60)
@given(st.one_of(votes(), votes(is_weighted=True)), st.sampled_from([0.0, 1e-6, 0.5]))
def test_any_votes_at_all_have_finite_estimates(sample: Comparisons, ridge: float) -> None:
    estimates = fit_with_neither(Counts.of(sample), ridge=ridge)

    assert np.isfinite(estimates.strengths).all()
    assert (np.linalg.eigvalsh(estimates.covariance) > -1e-9).all()
    assert len(estimates.parameters["location"]) == estimates.component.max() + 1
    for group in range(estimates.component.max() + 1):
        assert estimates.strengths[estimates.component == group].sum() == pytest.approx(0, abs=1e-9)


def test_no_votes_are_refused() -> None:
    with pytest.raises(ValueError, match="no vote"):
        fit_with_neither(Counts.empty(["a", "b"]))


def test_errors_are_numbers_where_every_vote_is_both_bad() -> None:
    sample = Comparisons(
        tuple("abcde"),
        np.array([0, 2, 0, 3], np.int32),
        np.array([1, 3, 2, 4], np.int32),
        np.full(4, Outcome.BOTH_BAD, np.int8),
        np.array([1e6, 1e-3, 1e6, 1.0]),
    )
    for ridge in (0.0, 0.1):
        found = fit_with_neither(Counts.of(sample), ridge=ridge)
        assert np.isfinite(found.errors).all()
        assert all(np.isfinite(place["error"]) for place in found.parameters["location"])
