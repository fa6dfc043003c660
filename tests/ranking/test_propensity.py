import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Outcome
from fastchat.ranking.counts import Counts
from fastchat.ranking.propensity import effective_size, inverse_propensities
from tests.ranking.samples import names

probabilities = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=50).map(np.array)


def test_seldom_pairs_weigh_more() -> None:
    found = inverse_propensities(np.array([0.5, 0.25, 0.25, 0.1]))
    np.testing.assert_allclose(found.weights, np.array([2, 4, 4, 10]) / 5)
    assert found.effective == pytest.approx(20**2 / (4 + 16 + 16 + 100))
    assert found.clipped == 0


def test_the_floor_bounds_what_a_vote_counts_for() -> None:
    found = inverse_propensities(np.array([0.5, 0.001, 0.2]), floor=0.1)
    np.testing.assert_allclose(found.weights, np.array([2, 10, 5]) * 3 / 17)
    assert (found.clipped, found.floor) == (1, 0.1)


@given(probabilities)
def test_weights_are_one_on_average_and_cost_votes(drawn: np.ndarray) -> None:
    found = inverse_propensities(drawn)
    assert found.weights.mean() == pytest.approx(1)
    assert 1 - 1e-9 <= found.effective <= len(drawn) * (1 + 1e-9)


@given(probabilities, st.floats(0, 1))
def test_a_floor_never_costs_votes(drawn: np.ndarray, floor: float) -> None:
    assert inverse_propensities(drawn, floor=floor).effective >= inverse_propensities(drawn).effective * (1 - 1e-9)


def test_equal_probabilities_cost_nothing() -> None:
    assert inverse_propensities(np.full(40, 0.03)).effective == pytest.approx(40)


def test_no_votes_have_no_weights() -> None:
    assert inverse_propensities(np.array([])).effective == effective_size(np.array([])) == 0


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.5, np.nan, np.inf])
def test_a_vote_without_its_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"1 of 3 votes have no probability .* number 2"):
        inverse_propensities(np.array([0.5, wrong, 0.5]))


@pytest.mark.parametrize("wrong", [-0.1, 1.5, np.nan])
def test_a_floor_that_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        inverse_propensities(np.array([0.5]), floor=wrong)


def test_weighted_votes_say_what_uniformly_drawn_pairs_would_have_said() -> None:
    """Of three models that no strengths fit (a circle), so that it matters which pairs are drawn."""
    rng = np.random.default_rng(7)
    pairs, won = np.array([[0, 1], [1, 2], [2, 0]]), np.array([0.9, 0.7, 0.6])

    def ratings(drawn: np.ndarray, is_weighted: bool) -> np.ndarray:
        which = rng.choice(3, 200_000, p=drawn)
        outcome = np.where(rng.random(len(which)) < won[which], Outcome.LEFT, Outcome.RIGHT)
        weight = inverse_propensities(drawn[which]).weights if is_weighted else None
        left, right = pairs[which].T.astype(np.int32)
        sample = Comparisons(names(3), left, right, outcome.astype(np.int8), weight)
        return fit_bradley_terry(Counts.of(sample)).strengths

    skewed = np.array([0.8, 0.15, 0.05])
    uniform = ratings(np.full(3, 1 / 3), is_weighted=False)
    np.testing.assert_allclose(ratings(skewed, is_weighted=True), uniform, atol=0.03)
    assert np.abs(ratings(skewed, is_weighted=False) - uniform).max() > 0.1
