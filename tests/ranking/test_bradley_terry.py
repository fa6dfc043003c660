import math
from dataclasses import replace

import choix
import evalica
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from fastchat import __version__
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.neither import fit_with_neither
from fastchat.ranking.results import Estimates, Unbounded
from tests.ranking.samples import drawn, names, of_rows, repeated, swapped, votes, well_linked_votes, wins, worth

RIDGE_OF_GENAI_ARENA = 1 / (2 * math.log(10) ** 2)


def fit(sample: Comparisons, both_bad: BothBad = BothBad.HALF, ridge: float = 0.0) -> Estimates:
    return fit_bradley_terry(Counts.of(sample), both_bad=both_bad, ridge=ridge)


def design_of(sample: Comparisons) -> Floats:
    """(n, models): 1 at the left model, -1 at the right one."""
    rows = np.arange(len(sample))
    design = np.zeros((len(sample), len(sample.models)))
    design[rows, sample.left], design[rows, sample.right] = 1, -1
    return design


def weights_of(sample: Comparisons) -> Floats:
    return np.ones(len(sample)) if sample.weight is None else sample.weight


def gradient(sample: Comparisons, strengths: Floats) -> Floats:
    """Of the likelihood, vote by vote."""
    design = design_of(sample)
    chance = 1 / (1 + np.exp(-design @ strengths))
    return np.asarray(design.T @ (weights_of(sample) * (worth(sample) - chance)))


def sandwich(sample: Comparisons, strengths: Floats, ridge: float) -> Floats:
    """The textbook's formula, a row a vote."""
    design = design_of(sample)
    chance = 1 / (1 + np.exp(-design @ strengths))
    weight = weights_of(sample)
    bread = design.T @ (design * (weight * chance * (1 - chance))[:, None]) + ridge * np.eye(len(strengths))
    middle = design.T @ (design * ((weight * (worth(sample) - chance)) ** 2)[:, None])
    inverse = np.linalg.pinv(bread, hermitian=True)
    return np.asarray(inverse @ middle @ inverse)


# Two models and a pencil.


def test_three_wins_of_four_are_odds_of_three() -> None:
    found = fit(wins("a>b", "a>b", "a>b", "b>a"))
    assert found.strengths == pytest.approx([math.log(3) / 2, -math.log(3) / 2])
    # Curvature and middle are both 3/4, so the difference has the variance 4/3, and each strength a quarter of it.
    np.testing.assert_allclose(found.covariance, np.array([[1, -1], [-1, 1]]) / 3)
    assert found.votes.tolist() == [4, 4]
    assert found.parameters["notes"] == []


def test_a_tie_is_half_a_win_of_each() -> None:
    found = fit(wins("a>b", "a>b", "a>b", "b>a", "a=b", "b=a"))
    assert found.strengths[0] * 2 == pytest.approx(math.log(2))
    middle = 3 * (1 / 3) ** 2 + (2 / 3) ** 2 + 2 * (1 / 6) ** 2
    assert found.covariance[0, 0] * 4 == pytest.approx(middle / (6 * 2 / 9) ** 2)


def test_both_bad_is_half_a_win_of_each_or_dropped() -> None:
    rows = [("a", "b", Outcome.LEFT)] * 3 + [("b", "a", Outcome.LEFT)] + [("a", "b", Outcome.BOTH_BAD)] * 2
    assert fit(of_rows(*rows)).strengths[0] * 2 == pytest.approx(math.log(2))
    dropped = fit(of_rows(*rows), BothBad.DROP)
    assert dropped.strengths[0] * 2 == pytest.approx(math.log(3))
    assert dropped.votes.tolist() == [4, 4]
    np.testing.assert_allclose(dropped.covariance, fit(of_rows(*rows[:4])).covariance)


def test_both_bad_as_an_outcome_of_its_own_is_luces_choice() -> None:
    counts = Counts.of(drawn(4, 500))
    found, expected = fit_bradley_terry(counts, both_bad=BothBad.OWN, ridge=0.1), fit_with_neither(counts, ridge=0.1)
    assert found.method == expected.method != "bradley-terry"
    np.testing.assert_array_equal(found.strengths, expected.strengths)


def test_weights_count_in_the_estimate_and_squared_in_the_middle() -> None:
    found = fit(of_rows(("a", "b", Outcome.LEFT), ("b", "a", Outcome.LEFT), weight=[3.0, 1.0]))
    assert found.strengths[0] * 2 == pytest.approx(math.log(3))
    middle = 9 * (1 / 4) ** 2 + (3 / 4) ** 2
    assert found.covariance[0, 0] * 4 == pytest.approx(middle / 0.75**2)


def test_it_says_what_it_was_made_of() -> None:
    counts = Counts.of(drawn(4, 100))
    found = fit_bradley_terry(counts, both_bad=BothBad.DROP, ridge=0.5)
    assert found.method == "bradley-terry"
    assert found.parameters == {"both_bad": "drop", "ridge": 0.5, "covariance": "sandwich", "notes": []}
    assert found.digest == counts.digest
    assert found.version == __version__
    assert found.models == counts.models


# Against other libraries.


@given(well_linked_votes(most=40, is_weighted=True))
def test_strengths_are_those_of_evalica(sample: Comparisons) -> None:
    winners = [
        {Outcome.LEFT: evalica.Winner.X, Outcome.RIGHT: evalica.Winner.Y}.get(Outcome(code), evalica.Winner.Draw)
        for code in sample.outcome
    ]
    left, right = ([sample.models[at] for at in codes] for codes in (sample.left, sample.right))
    scores = evalica.bradley_terry(
        left, right, winners, weights=weights_of(sample), tolerance=1e-14, limit=100_000
    ).scores
    expected = np.log(scores.loc[list(sample.models)].to_numpy())
    np.testing.assert_allclose(fit(sample).strengths, expected - expected.mean(), atol=1e-8)


@given(well_linked_votes(models=9, most=100))
def test_strengths_are_those_of_choix(sample: Comparisons) -> None:
    beats = np.zeros((len(sample.models), len(sample.models)))
    np.add.at(beats, (sample.left, sample.right), worth(sample))
    np.add.at(beats, (sample.right, sample.left), 1 - worth(sample))
    expected = choix.ilsr_pairwise_dense(beats, max_iter=1000, tol=1e-11)
    np.testing.assert_allclose(fit(sample).strengths, expected, atol=1e-7)


def by_scikit_learn(sample: Comparisons, unit: float, c: float) -> Floats:
    """As FastChat and GenAI-Arena do it: each vote twice, a tie once for each side."""
    design = np.tile(design_of(sample) * unit, (2, 1))
    said = np.concatenate([worth(sample) > 0, worth(sample) == 1])
    model = LogisticRegression(C=c, fit_intercept=False, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    model.fit(design, said, sample_weight=np.tile(weights_of(sample), 2))
    return np.asarray(model.coef_[0]) * unit


@pytest.mark.parametrize(
    ("unit", "c", "ridge"), [(1.0, 1.0, 0.5), (1.0, 4.0, 0.125), (math.log(10), 1.0, RIDGE_OF_GENAI_ARENA)]
)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_ridge_is_that_of_scikit_learn(unit: float, c: float, ridge: float, is_weighted: bool) -> None:
    sample = drawn(7, 150, seed=3, is_weighted=is_weighted)
    np.testing.assert_allclose(fit(sample, ridge=ridge).strengths, by_scikit_learn(sample, unit, c), atol=1e-9)


def test_the_ridge_holds_votes_that_go_one_way() -> None:
    sample = wins("a>b", "a>b", "b>c")
    found = fit(sample, ridge=RIDGE_OF_GENAI_ARENA)
    turned = swapped(sample, [True, False, False])  # for scikit-learn, which wants to see both sides win
    np.testing.assert_allclose(found.strengths, by_scikit_learn(turned, math.log(10), 1.0), atol=1e-9)
    assert found.unbounded.tolist() == [Unbounded.ABOVE, Unbounded.NO, Unbounded.BELOW]
    assert found.parameters["notes"] == [
        "The votes set no upper bound to a; only the ridge does.",
        "The votes set no lower bound to c; only the ridge does.",
    ]


@given(votes(is_weighted=True), st.floats(0.01, 10))
def test_with_a_ridge_any_votes_have_an_optimum(sample: Comparisons, ridge: float) -> None:
    found = fit(sample, ridge=ridge)
    assert np.abs(gradient(sample, found.strengths) - ridge * found.strengths).max() <= 1e-9 * len(sample)


# Optimum and errors.


@given(well_linked_votes(is_weighted=True))
def test_no_vote_pulls_at_the_optimum(sample: Comparisons) -> None:
    assert np.linalg.norm(gradient(sample, fit(sample).strengths)) <= 1e-9 * len(sample)


@pytest.mark.parametrize("spread", [1.0, 8.0, 20.0])
def test_the_optimum_of_many_votes_is_exact(spread: float) -> None:
    sample = drawn(40, 50_000, seed=5, spread=spread)
    assert np.linalg.norm(gradient(sample, fit(sample).strengths)) <= 1e-9


def test_a_model_with_few_votes_beside_millions_is_exact_too() -> None:
    """The gradient of a million votes is allowed more than the whole of these two."""
    counts = Counts.of(wins("a>b", "b>a", "c>a", "c>a", "c>a", "a>c"))
    many = counts.votes.copy()
    many[Outcome.LEFT, :2, :2] *= 5_000_000
    weights = many.astype(np.float64)
    found = fit_bradley_terry(replace(counts, votes=many, weights=weights, squares=weights))
    assert found.strengths[2] - found.strengths[0] == pytest.approx(math.log(3), abs=1e-9)


def counted(worth: Floats) -> Counts:
    """Wins of the row's model over the column's, as weights."""
    weights = np.zeros((len(Outcome), *worth.shape))
    weights[Outcome.LEFT] = worth
    return Counts(names(len(worth)), np.ceil(weights).astype(np.int64), weights, weights)


@pytest.mark.parametrize("ratio", [1e3, 1e6, 1e12])
def test_a_ladder_of_lopsided_pairs_is_climbed(ratio: float) -> None:
    """30 models with a win of the lower one each: odds of up to 1e348 between first and last."""
    found = fit_bradley_terry(counted(np.diag(np.full(29, ratio), 1) + np.diag(np.ones(29), -1)))
    np.testing.assert_allclose(-np.diff(found.strengths), math.log(ratio), rtol=1e-9)


@pytest.mark.parametrize("ridge", [1e-3, 1e-9, 1e-15])
def test_a_ridge_close_to_none_is_met_exactly(ridge: float) -> None:
    found = fit_bradley_terry(counted(np.diag([100.0] * 5, 1)), ridge=ridge)
    surprise = 100 / (1 + np.exp(-np.diff(found.strengths)))
    pull = np.append(surprise, 0) - np.append(0, surprise)
    np.testing.assert_allclose(pull, ridge * found.strengths, rtol=1e-9, atol=ridge * 1e-9)


def test_one_way_votes_by_the_hundred_million_are_held() -> None:
    """So lopsided that on the way there the curvature is lost in rounding."""
    worth = np.zeros((5, 5))
    worth[0, 2], worth[0, 3], worth[3, 2] = 40408, 6852451, 161385
    worth[4, 0], worth[4, 1], worth[4, 2] = 38, 177487940, 7355
    found = fit_bradley_terry(counted(worth))
    winners, losers = np.nonzero(worth)
    assert (found.strengths[winners] > found.strengths[losers]).all()
    surprise = worth / (1 + np.exp(found.strengths[:, None] - found.strengths))
    pull = surprise.sum(axis=1) - surprise.sum(axis=0) + 0.5 - 1 / (1 + np.exp(-found.strengths))
    np.testing.assert_allclose(pull, pull.mean(), atol=1e-7)


@given(well_linked_votes(is_weighted=True), st.sampled_from([0.0, 0.0, 0.2, 3.0]))
def test_errors_are_the_sandwichs(sample: Comparisons, ridge: float) -> None:
    found = fit(sample, ridge=ridge)
    np.testing.assert_allclose(found.covariance, sandwich(sample, found.strengths, ridge), rtol=1e-6, atol=1e-9)


def test_many_votes_find_the_order() -> None:
    # Ties bring strengths closer than those that the wins were drawn from, but in the same order.
    found = fit(drawn(10, 100_000, seed=11))
    assert (np.diff(found.strengths) > 4 * found.errors[:-1]).all()


def test_errors_are_those_that_many_samples_show() -> None:
    fits = [fit(drawn(5, 2000, seed=seed)) for seed in range(300)]
    shown = np.std([found.strengths for found in fits], axis=0)
    np.testing.assert_allclose(np.mean([found.errors for found in fits], axis=0), shown, rtol=0.15)


# Where votes are few.


def test_a_single_vote() -> None:
    found = fit(wins("a>b"))
    assert found.unbounded.tolist() == [Unbounded.ABOVE, Unbounded.BELOW]
    assert found.strengths[0] == -found.strengths[1]
    assert 0.5 < found.strengths[0] < 1
    assert 0.5 < found.errors[0] < math.inf
    assert found.parameters["notes"] == [
        "Between some models all wins go one way, so that no finite strengths fit best. Each of the 2 models of their "
        "group was given one tie against an average opponent.",
        "The votes set no upper bound to a.",
        "The votes set no lower bound to b.",
    ]


@pytest.mark.parametrize("number", [1, 10, 1000])
def test_who_won_everything_has_one_tie_to_come_down_by(number: int) -> None:
    found = fit(wins(*["a>b"] * number))
    apart = found.strengths[0] - found.strengths[1]
    # Half a win and half a loss of each against the mean of the two.
    assert number / (1 + math.exp(apart)) == pytest.approx(1 / (1 + math.exp(-apart / 2)) - 1 / 2)


def test_the_imagined_tie_is_one_with_a_model_of_mean_strength() -> None:
    """The same as votes with a further model, which is held where the mean is."""
    sample = wins("x>a", "x>b", "a>b", "a>b", "b>a", "b>y")
    found = fit(sample)
    with_tie = [gradient(sample, found.strengths) + 0.5 - 1 / (1 + np.exp(-found.strengths))]
    np.testing.assert_allclose(with_tie - np.mean(with_tie), 0, atol=1e-9)
    assert found.strengths.sum() == pytest.approx(0)


def test_more_wins_without_a_loss_rate_higher() -> None:
    rated = [fit(wins("a>b", "b>a", *["x>a"] * number)).strengths[2] for number in (1, 5, 50)]
    assert rated == sorted(rated)


def test_errors_of_who_won_everything_are_not_small() -> None:
    found = fit(wins("a>b", "b>a", *["x>a"] * 50, *["x>b"] * 50))
    assert found.unbounded.tolist() == [Unbounded.NO, Unbounded.NO, Unbounded.ABOVE]
    assert found.errors[2] > 0.5


def test_all_ties_are_equal_and_show_no_spread() -> None:
    found = fit(wins("a=b", "b=c", "a=b"))
    np.testing.assert_allclose(found.strengths, 0, atol=1e-12)
    np.testing.assert_allclose(found.errors, 0, atol=1e-9)
    assert not found.unbounded.any()
    assert [note.partition(" are ")[0] for note in found.parameters["notes"]] == ["All votes on a, b, c"]


def test_groups_that_never_met_are_rated_apart() -> None:
    left, right = drawn(3, 200, seed=1), drawn(4, 100, seed=2)
    joined = Comparisons(
        names(7),
        np.concatenate([left.left, right.left + 3]),
        np.concatenate([left.right, right.right + 3]),
        np.concatenate([left.outcome, right.outcome]),
    )
    found = fit(joined)
    assert found.component.tolist() == [0, 0, 0, 1, 1, 1, 1]
    for part, places in ((fit(left), slice(0, 3)), (fit(right), slice(3, 7))):
        np.testing.assert_allclose(found.strengths[places], part.strengths, atol=1e-12)
        np.testing.assert_allclose(found.covariance[places, places], part.covariance, rtol=1e-9)
    assert not found.covariance[:3, 3:].any()
    assert found.parameters["notes"] == [
        "The models are 2 groups without a vote between them; ratings compare within a group only."
    ]


def test_only_the_group_that_needs_it_is_given_ties() -> None:
    found = fit(wins("a>b", "a>b", "a>b", "b>a", "x>y"))
    assert found.strengths[0] - found.strengths[1] == pytest.approx(math.log(3))
    assert found.unbounded.tolist() == [0, 0, Unbounded.ABOVE, Unbounded.BELOW]


def test_a_model_without_a_vote_stands_alone_at_zero() -> None:
    counts = Counts.of(drawn(3, 100)).over(("m000", "m001", "m002", "new"))
    found = fit_bradley_terry(counts)
    assert (found.strengths[3], found.errors[3], found.votes[3], found.component[3]) == (0, 0, 0, 1)
    assert found.unbounded[3] == Unbounded.NO
    assert found.parameters["notes"] == []


def test_two_groups_joined_by_two_votes_are_one() -> None:
    found = fit(wins("a=b", "c=d", "a>c", "c>a"))
    assert found.component.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(found.strengths, 0, atol=1e-12)


@given(votes(is_weighted=True))
def test_any_votes_have_finite_strengths_and_errors(sample: Comparisons) -> None:
    found = fit(sample)
    assert np.isfinite(found.strengths).all()
    assert np.isfinite(found.errors).all()
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-9
    np.testing.assert_allclose(np.bincount(found.component, found.strengths), 0, atol=1e-9)
    np.testing.assert_allclose(found.covariance.sum(axis=0), 0, atol=1e-7)


@pytest.mark.parametrize("both_bad", [BothBad.HALF, BothBad.DROP])
def test_no_votes_are_refused_in_words(both_bad: BothBad) -> None:
    with pytest.raises(ValueError, match="there is no vote"):
        fit_bradley_terry(Counts.empty(["a", "b"]), both_bad=both_bad)


def test_nothing_but_dropped_votes_is_refused_in_words() -> None:
    sample = of_rows(("a", "b", Outcome.BOTH_BAD))
    with pytest.raises(ValueError, match="every vote says that both are bad"):
        fit(sample, BothBad.DROP)
    assert fit(sample).strengths.tolist() == [0, 0]


@pytest.mark.parametrize("ridge", [-1.0, math.nan, math.inf])
def test_a_ridge_that_is_none_is_refused(ridge: float) -> None:
    with pytest.raises(ValueError, match="the ridge is"):
        fit(drawn(3, 20), ridge=ridge)


def test_the_same_counts_give_the_same_bits() -> None:
    sample = drawn(20, 2000)
    again = fit(repeated(sample, 1))
    np.testing.assert_array_equal(fit(sample).strengths, again.strengths)
    np.testing.assert_array_equal(fit(sample).covariance, again.covariance)
