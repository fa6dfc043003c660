"""How many votes matchmaking needs for a given precision, by simulation; seeds are fixed.

Precision is the standard error of a pair's mean vote, averaged over all pairs, known from the true strengths.
"""

import random
from math import exp, sqrt

import pytest

from fastchat.arena.matchmaking import Contender, Matchmaker
from fastchat.arena.records import Outcome
from fastchat.arena.tally import Pair, Tally, pair_of

TIES = 0.25


def votes_needed(policy: str, weights: list[float], spread: float, precision: float, seed: int) -> int:
    """`spread` is the distance between best and worst model, in log-odds."""
    rng, tally = random.Random(seed), Tally()
    pool = [Contender(f"m{number:02}", weight=weight) for number, weight in enumerate(weights)]
    strengths = {item.name: spread * number / (len(pool) - 1) for number, item in enumerate(pool)}
    matchmaker = Matchmaker(rng, policy)
    errors: dict[Pair, float] = dict.fromkeys(matchmaker.pair_probabilities(pool, tally), 1.0)
    votes, total = 0, sum(errors.values())
    while total > precision * len(errors):
        left, right, *_ = matchmaker.draw(pool, tally)
        left_wins = 1 / (1 + exp(strengths[right] - strengths[left]))
        outcome = Outcome.LEFT if rng.random() < left_wins else Outcome.RIGHT
        tally.add(left, right, Outcome.TIE if rng.random() < TIES else outcome)
        votes, pair = votes + 1, pair_of(left, right)
        mean = TIES / 2 + (1 - TIES) * left_wins
        variance = TIES / 4 + (1 - TIES) * left_wins - mean * mean
        error = sqrt(variance / tally.between(left, right).votes)
        total += error - errors[pair]
        errors[pair] = error
    return votes


def total_needed(policy: str, weights: list[float], spread: float, precision: float, runs: int) -> int:
    return sum(votes_needed(policy, weights, spread, precision, seed) for seed in range(runs))


def popularity(models: int) -> list[float]:
    return [1 / (1 + number) for number in range(models)]


def check(models: int, spread: float, precision: float, runs: int) -> None:
    even = [1.0] * models
    active = total_needed("active", even, spread, precision, runs)
    assert active <= total_needed("weighted", even, spread, precision, runs)
    assert 1.25 * active <= total_needed("weighted", popularity(models), spread, precision, runs)


@pytest.mark.parametrize("spread", [1.6, 4.0])
def test_active_sampling_needs_fewest_votes(spread: float) -> None:
    check(models=8, spread=spread, precision=0.08, runs=10)


@pytest.mark.full
@pytest.mark.parametrize("spread", [1.6, 4.0, 8.0])
def test_active_sampling_needs_fewest_votes_among_many_models(spread: float) -> None:
    check(models=20, spread=spread, precision=0.05, runs=5)


def test_active_sampling_makes_up_for_skewed_weights() -> None:
    skewed = popularity(8)
    active = total_needed("active", skewed, 4.0, 0.08, runs=5)
    assert 1.25 * active <= total_needed("weighted", skewed, 4.0, 0.08, runs=5)
