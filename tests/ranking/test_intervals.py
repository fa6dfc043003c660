"""Intervals of one model, and errors of differences."""

from dataclasses import replace

import numpy as np
import pytest

from fastchat.ranking.bootstrap import bootstrap
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.counts import Counts
from fastchat.ranking.intervals import difference_errors, interval
from fastchat.ranking.results import Unbounded
from tests.ranking.samples import drawn, repeated, wins


def test_without_draws_it_is_normal() -> None:
    fit = fit_bradley_terry(Counts.of(drawn(5, 2000)))
    lower, upper = interval(fit)

    np.testing.assert_allclose(lower, fit.strengths - 1.959964 * fit.errors, rtol=1e-6)
    np.testing.assert_allclose(upper, fit.strengths + 1.959964 * fit.errors, rtol=1e-6)
    narrow = interval(fit, 0.5)
    assert (narrow.upper - narrow.lower < upper - lower).all()


def test_draws_give_their_percentiles() -> None:
    fit = fit_bradley_terry(Counts.of(drawn(3, 500)))
    draws = fit.strengths + np.linspace(-1, 3, 401)[:, None]
    found = interval(replace(fit, draws=draws), 0.9)

    np.testing.assert_allclose(found.lower, fit.strengths - 0.8)
    np.testing.assert_allclose(found.upper, fit.strengths + 2.8)


def test_percentiles_are_about_the_normal_ones() -> None:
    counts = Counts.of(drawn(5, 5000))
    one, other = interval(bootstrap(counts)), interval(fit_bradley_terry(counts))

    np.testing.assert_allclose(one.lower, other.lower, atol=0.02)
    np.testing.assert_allclose(one.upper, other.upper, atol=0.02)


def test_draws_of_a_model_without_a_bound_are_not_believed() -> None:
    fit = fit_bradley_terry(Counts.of(repeated(wins("a>b", "b>c", "c>b"), 9)))
    found = interval(replace(fit, draws=np.zeros((100, 3))))

    assert fit.unbounded.tolist() == [Unbounded.ABOVE, 0, 0]
    assert found.upper[0] - found.lower[0] == pytest.approx(2 * 1.96 * fit.errors[0], rel=1e-3)
    assert found.upper[1] == found.lower[1] == 0


@pytest.mark.parametrize("confidence", [0, 1, 95, float("nan")])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(fit_bradley_terry(Counts.of(drawn(3, 50))), confidence)


def test_errors_of_differences() -> None:
    fit = fit_bradley_terry(Counts.of(drawn(4, 300)))
    contrast = np.array([0, 1, 0, -1])

    errors = difference_errors(fit)
    assert errors[1, 3] == pytest.approx(np.sqrt(contrast @ fit.covariance @ contrast))
    np.testing.assert_array_equal(errors, errors.T)
    assert not np.diagonal(errors).any()


def test_there_is_no_difference_between_components() -> None:
    errors = difference_errors(fit_bradley_terry(Counts.of(repeated(wins("a>b", "b>a", "c>d", "d>c"), 9))))

    assert np.isnan(errors[:2, 2:]).all()
    assert np.isfinite(errors[:2, :2]).all()


def test_what_rounding_leaves_of_a_difference_is_nothing() -> None:
    fit = fit_bradley_terry(Counts.of(drawn(3, 300)))
    almost = np.full((3, 3), 0.3) + np.diag([1e-17, 0, 1])

    errors = difference_errors(replace(fit, covariance=almost))
    assert errors[0, 1] == 0
    assert errors[0, 2] == pytest.approx(1)
