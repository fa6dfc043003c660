import evalica
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.stats import binomtest

from fastchat.ranking.baselines import borda, wilson, win_rates
from fastchat.ranking.comparisons import Comparisons, Outcome
from fastchat.ranking.counts import BothBad, Counts
from tests.ranking.samples import drawn, of_rows, votes, wins

WINNERS = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw, evalica.Winner.Draw]


@settings(deadline=None, max_examples=60)
@given(votes(is_weighted=True))
def test_borda_is_evalicas_average_win_rate(sample: Comparisons) -> None:
    rates = borda(Counts.of(sample))

    names, said = np.array(sample.models), [WINNERS[outcome] for outcome in sample.outcome]
    weights = None if sample.weight is None else list(sample.weight)
    theirs = evalica.average_win_rate(list(names[sample.left]), list(names[sample.right]), said, weights=weights).scores
    ours = dict(zip(rates.models, rates.rates, strict=True))
    assert {name: ours[name] for name in theirs.index} == pytest.approx(dict(theirs), abs=1e-12)


def test_ties_are_half_a_win_and_each_vote_counts_alike() -> None:
    rates = win_rates(Counts.of(wins("a>b", "a>b", "a>b", "c>a", "a=c")))

    assert list(rates.rates) == [3.5 / 5, 0, 1.5 / 2]
    assert list(rates.votes) == [5, 3, 2]


def test_bordas_opponents_count_alike_however_often_they_were_met() -> None:
    rates = borda(Counts.of(wins("a>b", "a>b", "a>b", "c>a", "a=c")))

    assert list(rates.rates) == [(1 + 0.25) / 2, 0, 0.75]


@pytest.mark.parametrize(("both_bad", "rate", "number"), [(BothBad.HALF, 0.75, 2), (BothBad.DROP, 1.0, 1)])
def test_both_bad_is_half_a_win_or_no_vote(both_bad: BothBad, rate: float, number: int) -> None:
    rates = win_rates(Counts.of(of_rows(("a", "b", Outcome.LEFT), ("a", "b", Outcome.BOTH_BAD))), both_bad=both_bad)

    assert (rates.rates[0], rates.votes[0]) == (rate, number)


@pytest.mark.parametrize(("won", "lost"), [(7, 3), (0, 4), (5, 0), (400, 100)])
def test_intervals_are_wilsons(won: int, lost: int) -> None:
    rates = win_rates(Counts.of(wins(*["a>b"] * won, *["b>a"] * lost)), confidence=0.9)

    interval = binomtest(won, won + lost).proportion_ci(0.9, method="wilson")
    assert (rates.lower[0], rates.upper[0]) == pytest.approx((interval.low, interval.high))
    assert (borda(Counts.of(wins(*["a>b"] * won, *["b>a"] * lost)), confidence=0.9).upper[0]) == pytest.approx(
        interval.high
    )


def test_weights_make_an_interval_as_wide_as_that_of_the_votes_they_leave() -> None:
    sample = of_rows(("a", "b", Outcome.LEFT), ("a", "b", Outcome.RIGHT), weight=[3, 1])

    rates = win_rates(Counts.of(sample))

    assert rates.rates[0] == 0.75
    lower, _ = wilson(np.array([0.75]), np.array([16 / 10]), 0.95)
    assert rates.lower[0] == pytest.approx(lower[0])


def test_bordas_interval_holds_what_it_should() -> None:
    truth = np.linspace(0, 2, 5)
    chance = 1 / (1 + np.exp(truth - truth[:, None]))
    planted = (0.7 * chance + 0.15)[~np.eye(5, dtype=bool)].reshape(5, 4).mean(axis=1)  # three in ten votes are no win

    held = []
    for seed in range(200):
        rates = borda(Counts.of(drawn(5, 600, seed=seed)))
        held.append((rates.lower <= planted) & (planted <= rates.upper))

    assert 0.94 < np.mean(held) <= 1  # with ties, Wilson's is wide


@settings(deadline=None, max_examples=60)
@given(votes())
def test_rates_are_shares_within_their_intervals(sample: Comparisons) -> None:
    for rate in (win_rates, borda):
        rates = rate(Counts.of(sample))

        rated = rates.votes > 0
        assert np.isnan(rates.rates[~rated]).all()
        assert (rates.rates[rated] >= rates.lower[rated]).all()
        assert (rates.rates[rated] <= rates.upper[rated]).all()
        assert (rates.lower[rated] >= 0).all()
        assert (rates.upper[rated] <= 1 + 1e-12).all()


def test_what_makes_no_rate_is_refused() -> None:
    counts = Counts.of(wins("a>b"))
    with pytest.raises(ValueError, match="not own"):
        win_rates(counts, both_bad=BothBad.OWN)
    with pytest.raises(ValueError, match="confidence is 95"):
        borda(counts, confidence=95)
    with pytest.raises(ValueError, match="no vote"):
        win_rates(Counts.empty(["a"]))
