import csv
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import evalica
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Outcome, comparisons
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.elo import bootstrap_elo, fit_elo
from fastchat.ranking.results import ELO_PER_LOGIT, Scale
from tests.ranking.samples import drawn, relabelled, votes, wins

LLMFAO = Path(__file__).parents[1] / "data" / "llmfao"
SAID = {"left": Outcome.LEFT, "right": Outcome.RIGHT, "tie": Outcome.TIE}
WINNERS = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw, evalica.Winner.Draw]


def test_the_published_scores_of_llmfao_are_reproduced() -> None:
    with gzip.open(LLMFAO / "crowd-comparisons.csv.gz", "rt") as file:
        left, right, outcome = zip(
            *((row["left"], row["right"], SAID[row["winner"]]) for row in csv.DictReader(file)), strict=True
        )
    with (LLMFAO / "golden_scores.csv").open() as file:
        published = {row["item"]: float(row["score"]) for row in csv.DictReader(file) if row["algorithm"] == "elo"}

    estimates = fit_elo(comparisons(left, right, outcome))

    ratings = dict(zip(estimates.models, Scale().ratings(estimates), strict=True))
    assert len(ratings) == 59
    assert ratings == pytest.approx(published, abs=1e-9)


def test_a_win_among_equals_moves_half_of_k() -> None:
    ratings = Scale().ratings(fit_elo(wins("a>b"), k=32))

    assert list(ratings) == pytest.approx([1016, 984])


def test_the_expected_result_is_that_of_400_points_for_odds_of_ten() -> None:
    first = 1000 + 50 / 2
    expected = 1 / (1 + 10 ** ((1000 - first) / 400))

    ratings = Scale().ratings(fit_elo(wins("a>b", "c>a"), k=50))

    # the second vote is of a at 1025 against c at 1000
    assert list(ratings) == pytest.approx([first - 50 * expected, 975, 1000 + 50 * expected])


@settings(deadline=None, max_examples=60)
@given(votes(), st.sampled_from([1.0, 4.0, 30.0]))
def test_it_is_evalicas(sample: Comparisons, k: float) -> None:
    estimates = fit_elo(sample, k=k)

    names, said = np.array(sample.models), [WINNERS[outcome] for outcome in sample.outcome]
    theirs = evalica.elo(list(names[sample.left]), list(names[sample.right]), said, k=k, initial=0.0).scores
    ours = dict(zip(estimates.models, estimates.strengths * ELO_PER_LOGIT, strict=True))
    assert {name: ours[name] for name in theirs.index} == pytest.approx(dict(theirs), abs=1e-9)


@settings(deadline=None, max_examples=60)
@given(votes(), st.data())
def test_names_do_not_matter(sample: Comparisons, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(sample.models))))

    plain, renamed = fit_elo(sample), fit_elo(relabelled(sample, order))

    assert renamed.strengths[list(order)] == pytest.approx(plain.strengths, abs=1e-12)


def test_votes_count_in_the_order_given_or_in_that_of_time() -> None:
    sample = replace(wins("a>b", "b>a"), time=np.array([2.0, 1.0]))

    as_given, by_time = fit_elo(sample, k=100), fit_elo(sample, k=100, by_time=True)

    assert as_given.strengths[0] < 0 < by_time.strengths[0]  # the last win is one against the odds, and moves more
    assert (as_given.parameters["order"], by_time.parameters["order"]) == ("given", "time")


def test_a_vote_of_weight_two_moves_twice_as_much() -> None:
    once = wins("a>b")

    assert fit_elo(replace(once, weight=np.array([2.0]))).strengths == pytest.approx(2 * fit_elo(once).strengths)


def test_both_bad_is_a_tie_or_no_vote() -> None:
    sample = replace(wins("a>b", "a>c"), outcome=np.array([Outcome.LEFT, Outcome.BOTH_BAD], np.int8))

    half, dropped = fit_elo(sample), fit_elo(sample, both_bad=BothBad.DROP)

    assert half.strengths[2] > 0  # a tie against a better one
    assert dropped.strengths[2] == 0
    assert list(dropped.votes) == [1, 1, 0]


def test_groups_without_a_vote_between_them_are_told_apart() -> None:
    estimates = fit_elo(wins("a>b", "c>d", "c>d"))

    assert list(estimates.component) == [1, 1, 0, 0]
    assert np.isnan(estimates.errors).all()  # no error is known of one pass


def test_no_vote_however_one_sided_overflows() -> None:
    estimates = fit_elo(wins(*["a>b"] * 50, "b>a"), k=1e9)

    assert np.isfinite(estimates.strengths).all()


def test_bootstrapped_errors_are_those_of_other_votes_of_the_same_kind() -> None:
    of_other_votes = np.std([fit_elo(drawn(5, 3000, seed=seed)).strengths for seed in range(150)], axis=0)

    estimates = bootstrap_elo(drawn(5, 3000, seed=1000), rounds=200)

    assert estimates.errors == pytest.approx(of_other_votes, rel=0.25)
    assert np.array_equal(estimates.strengths, fit_elo(drawn(5, 3000, seed=1000)).strengths)
    assert estimates.draws is not None
    assert estimates.draws.shape == (200, 5)
    assert np.abs(estimates.draws.mean(axis=0) - estimates.strengths).max() < 0.5 * estimates.errors.max()


def test_the_bootstrap_gives_the_same_numbers_for_the_same_seed_only() -> None:
    sample = drawn(4, 5000, is_weighted=True)  # more than a block of random weights

    first, again, other = (bootstrap_elo(sample, rounds=5, seed=seed) for seed in (7, 7, 8))

    assert np.array_equal(first.covariance, again.covariance)
    assert not np.array_equal(first.covariance, other.covariance)
    assert first.parameters["seed"] == 7


def test_the_maximum_of_likelihood_is_bradley_terry_which_elo_goes_about() -> None:
    sample = drawn(6, 20_000)

    best, last = fit_bradley_terry(Counts.of(sample)), fit_elo(sample)

    assert np.abs(best.strengths - last.strengths).max() < 0.25
    assert np.abs(best.strengths - last.strengths).max() > 3 * best.errors.max()


@pytest.mark.parametrize(
    ("sample", "options", "what"),
    [
        (wins("a>b"), {"k": 0.0}, "K is 0.0"),
        (wins("a>b"), {"by_time": True}, "no time"),
        (wins("a>b"), {"both_bad": BothBad.OWN}, "not own"),
        (comparisons([], [], []), {}, "no vote"),
    ],
)
def test_what_cannot_be_rated_is_refused_in_words(sample: Comparisons, options: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        fit_elo(sample, **options)


def test_a_spread_takes_two_rounds() -> None:
    with pytest.raises(ValueError, match="two at least"):
        bootstrap_elo(wins("a>b"), rounds=1)
