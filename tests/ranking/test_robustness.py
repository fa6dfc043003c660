"""What separates neighbours, and how few votes change who is first."""

import math
from itertools import permutations, product

import numpy as np
import pytest

from fastchat.ranking.bootstrap import bootstrap, refit
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.intervals import difference_errors
from fastchat.ranking.likelihood import fold
from fastchat.ranking.ranks import probability_better, rank_sets
from fastchat.ranking.results import Estimates
from fastchat.ranking.robustness import Neighbour, dispersion, neighbours, top_flip, votes_needed
from tests.ranking.samples import drawn, names, repeated, wins


def neighbours_of(counts: Counts) -> tuple[Neighbour, ...]:
    fit = fit_bradley_terry(counts)
    return neighbours(counts, fit, rank_sets(fit))


def test_neighbours_follow_the_order() -> None:
    counts = Counts.of(drawn(5, 4000))
    fit = fit_bradley_terry(counts)
    ranks, errors, better = rank_sets(fit), difference_errors(fit), probability_better(fit)
    found = neighbours(counts, fit, ranks)
    order = np.argsort(-fit.strengths)

    assert [row.better for row in found] + [found[-1].worse] == [fit.models[at] for at in order]
    for row, one, other in zip(found, order[:-1], order[1:], strict=True):
        assert row.difference == pytest.approx(fit.strengths[one] - fit.strengths[other])
        assert row.error == pytest.approx(errors[one, other])
        assert row.probability == pytest.approx(better[one, other])
        assert row.separated == ranks.separated[one, other]
        assert row.separated == (row.votes_needed == 0)


def test_components_have_no_neighbours_between_them() -> None:
    found = neighbours_of(Counts.of(repeated(wins("a>b", "b>a", "a>b", "c>d", "d>c", "d>c", "e>d", "d>e"), 20)))

    assert {(row.better, row.worse) for row in found} == {("a", "b"), ("d", "e"), ("e", "c")} or {
        (row.better, row.worse) for row in found
    } == {("a", "b"), ("e", "d"), ("d", "c")}


def test_equal_models_are_never_separated() -> None:
    row = neighbours_of(Counts.of(repeated(wins("a>b", "b>a", "a=b"), 100)))[0]

    assert (row.votes_needed, row.separated, row.probability) == (None, False, 0.5)


def test_ties_make_votes_less_scattered() -> None:
    none = Counts.of(repeated(wins("a>b", "b>a"), 50))
    half = Counts.of(repeated(wins("a>b", "b>a", "a=b", "a=b"), 50))

    assert dispersion(none, fit_bradley_terry(none), BothBad.HALF) == pytest.approx(1)
    assert dispersion(half, fit_bradley_terry(half), BothBad.HALF) == pytest.approx(0.5)


def test_without_votes_so_far_it_is_the_textbooks_number() -> None:
    """(critical / difference)^2 / (p (1 - p)), as for a logit of that many draws."""
    p = 1 / (1 + math.exp(-0.2))

    assert votes_needed(0.2, 1e9, 1.96, 1.0) == math.ceil((1.96 / 0.2) ** 2 / (p * (1 - p)))
    assert votes_needed(0.2, 0.09, 2.0, 1.0) == 0
    assert votes_needed(0.2, 0.2, 2.0, 0.5) == math.ceil(75 * 0.5 / (p * (1 - p)))
    assert votes_needed(0.0, 0.2, 2.0, 1.0) is None


def further(counts: Counts, one: int, other: int, won: float, lost: float, tied: float) -> Counts:
    added = np.zeros_like(counts.weights)
    added[[Outcome.LEFT, Outcome.RIGHT, Outcome.TIE], one, other] = won, lost, tied
    votes = counts.votes + np.round(added).astype(np.int64)
    return Counts(counts.models, votes, counts.weights + added, counts.squares + added)


def test_so_many_votes_do_separate_about_every_second_time() -> None:
    counts = Counts.of(drawn(6, 4000, spread=1.5))
    fit = fit_bradley_terry(counts)
    ranks = rank_sets(fit)
    assert ranks.critical_value is not None
    row = next(row for row in neighbours(counts, fit, ranks) if not row.separated)
    assert row.votes_needed is not None
    one, other = fit.models.index(row.better), fit.models.index(row.worse)
    p = 1 / (1 + math.exp(-row.difference))
    tie = 4 * p * (1 - p) * (1 - dispersion(counts, fit, BothBad.HALF))
    shares = p - tie / 2, 1 - p - tie / 2, tie

    def certainty(votes: tuple[float, float, float]) -> float:
        later = fit_bradley_terry(further(counts, one, other, *votes))
        difference = later.strengths[one] - later.strengths[other]
        return float(difference / difference_errors(later)[one, other] / ranks.critical_value)

    exactly = tuple(row.votes_needed * share for share in shares)
    assert certainty(exactly) == pytest.approx(1, abs=0.03)
    rng = np.random.default_rng(0)
    separated = [certainty(tuple(rng.multinomial(row.votes_needed, shares))) > 1 for _ in range(200)]
    assert 0.4 < np.mean(separated) < 0.6


def firsts_lead(fit: Estimates, strengths: np.ndarray) -> np.ndarray:
    """(rounds,): of who was first, over the best of the others."""
    first = int(fit.strengths.argmax())
    return strengths[:, first] - np.delete(strengths, first, axis=1).max(axis=1)


def fewest_by_trying_all(counts: Counts) -> int | None:
    fit = fit_bradley_terry(counts)
    won = fold(counts.votes.astype(np.float64), BothBad.HALF).wins
    winner, loser = np.nonzero(won)
    flips = np.array(list(product(*(range(int(votes) + 1) for votes in won[winner, loser]))))
    flips = flips[np.argsort(flips.sum(axis=1), kind="stable")]
    for some in np.array_split(flips, math.ceil(len(flips) / 2000)):
        worth = np.repeat(fold(counts.weights, BothBad.HALF).worth[None], len(some), axis=0)
        worth[:, winner, loser] -= some
        worth[:, loser, winner] += some
        changed = np.flatnonzero(firsts_lead(fit, refit(worth, fit.strengths, fit.component)) < -1e-9)
        if len(changed):
            return int(some[changed[0]].sum())
    return None


def well_mixed(seed: int) -> Comparisons:
    """Few votes, but so many on each pair that nobody is left without a loss."""
    rng = np.random.default_rng(seed)
    models = "abc"[: rng.integers(2, 4)]
    both_ways = [f"{one}>{other}" for one, other in permutations(models, 2) if "b" in (one, other)]
    any_way = [f"{one}{sign}{other}" for one, other in permutations(models, 2) for sign in ">="]
    ahead = [f"a>{other}" for other in models[1:]] * int(rng.integers(5))
    return wins(*both_ways, *ahead, *rng.choice(any_way, rng.integers(3, 10)))


@pytest.mark.parametrize("seed", range(40))
def test_no_fewer_votes_change_the_top(seed: int) -> None:
    counts = Counts.of(well_mixed(seed))
    found = top_flip(counts, fit_bradley_terry(counts))

    assert (found and found.votes) == fewest_by_trying_all(counts)


def test_a_long_lead_is_not_taken_for_a_line() -> None:
    """After some votes were turned round, others count more than they did; in the first order it takes 7."""
    votes = {"a>b": 14, "b>a": 1, "a>c": 5, "c>a": 1, "b>c": 6, "c>b": 2}
    counts = Counts.of(wins(*(vote for vote, times in votes.items() for _ in range(times))))
    found = top_flip(counts, fit_bradley_terry(counts))

    assert found is not None
    assert found.votes == fewest_by_trying_all(counts) == 6


def test_votes_that_change_the_top_do_so() -> None:
    """Here all of them lie between the two, and one fewer would not have done."""
    counts = Counts.of(drawn(20, 20_000, spread=1.0))
    fit = fit_bradley_terry(counts)
    found = top_flip(counts, fit)
    assert found is not None
    one, other = fit.models.index(found.first), fit.models.index(found.second)
    assert one == fit.strengths.argmax()

    def lead_without(direct: int) -> float:
        """When only votes between the two are turned round."""
        worth = fold(counts.weights, BothBad.HALF).worth
        worth[one, other] -= direct
        worth[other, one] += direct
        return float(firsts_lead(fit, refit(worth[None], fit.strengths, fit.component))[0])

    assert found.share == found.votes / 20_000
    direct = fold(counts.weights, BothBad.HALF).wins[one, other]
    assert found.votes <= direct
    assert lead_without(found.votes - 1) > 0
    assert lead_without(found.votes) == pytest.approx(0, abs=0.01)


def test_the_unit_of_weights_does_not_matter() -> None:
    sample = drawn(4, 400, is_weighted=True)
    counts = Counts.of(sample)
    heavier = Counts(counts.models, counts.votes, 2 * counts.weights, 4 * counts.squares)

    assert top_flip(counts, fit_bradley_terry(counts)) == top_flip(heavier, fit_bradley_terry(heavier))


def test_the_top_of_the_largest_component_is_meant() -> None:
    counts = Counts.of(repeated(wins("a>b", "b>a", "a>b", "c>d", "d>c"), 5))
    found = top_flip(counts, fit_bradley_terry(counts))

    assert found is not None
    assert (found.first, found.second, found.votes) == ("a", "b", 3)


def test_ridge_and_interval_do_not_change_what_is_asked() -> None:
    counts = Counts.of(drawn(5, 600))
    of_sandwich = top_flip(counts, fit_bradley_terry(counts))

    assert top_flip(counts, bootstrap(counts, rounds=5)) == of_sandwich
    with_ridge = top_flip(counts, fit_bradley_terry(counts, ridge=5.0), ridge=5.0)
    assert with_ridge is not None
    assert with_ridge.first == names(5)[4]


def test_where_nothing_can_be_turned_round_there_is_no_number() -> None:
    ties = Counts.of(repeated(wins("a=b", "b=c"), 5))
    alone = Counts.of(wins("a=b")).over(("a", "b"))

    assert top_flip(ties, fit_bradley_terry(ties)) is None
    assert top_flip(alone, fit_bradley_terry(alone)) is None


def test_estimates_of_other_votes_are_refused() -> None:
    counts = Counts.of(drawn(4, 100))

    with pytest.raises(ValueError, match="something else"):
        top_flip(counts, fit_bradley_terry(Counts.of(drawn(4, 100, seed=1))))


def test_votes_without_any_spread_are_not_counted() -> None:
    assert votes_needed(0.5, 0.0, 2.0, 1.0) == votes_needed(0.5, math.inf, 2.0, 1.0)


@pytest.mark.parametrize("difference", [0.0, 1000.0, -1e9])
def test_where_no_number_would_do_there_is_none(difference: float) -> None:
    assert votes_needed(difference, 0.1, 2.0, 1.0) is None


def test_weights_too_far_apart_for_a_flip_leave_the_ratings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise ValueError("no optimum in some rounds")

    counts = Counts.of(drawn(4, 300))
    monkeypatch.setattr("fastchat.ranking.robustness.refit", lost)
    assert top_flip(counts, fit_bradley_terry(counts)) is None
