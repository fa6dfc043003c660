"""How often do intervals, rank sets and flags hold what they promise, on votes whose truth is known?"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np

from benchmarks.results import Aim, Findings, Table
from fastchat.ranking.anomalies import find_anomalies
from fastchat.ranking.bootstrap import bootstrap, bootstrap_clusters
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.clusters import clustered
from fastchat.ranking.comparisons import Comparisons, Floats, Outcome
from fastchat.ranking.counts import Counts
from fastchat.ranking.intervals import difference_errors, interval
from fastchat.ranking.ranks import rank_sets
from fastchat.ranking.results import Estimates
from tests.ranking.crowds import BEHAVIOURS, HONEST, World, crowd

TITLE = "Coverage: how often intervals, rank sets and flags are right"
CONFIDENCE = 0.95
LEVEL = 0.1  # false alarms that are allowed, a voter
MODELS = (4, 8, 12, 20)
VOTES = (2_000, 10_000, 100_000)
ALIKE = 1e-4  # a spread that no votes can tell from none, so that all ranks that are told are told by chance
POWER = {"random": 0.8, "left": 0.9, "contrarian": 0.95}
WORDS = {"random": "at random", "left": "always left", "contrarian": "against the majority"}
VOTES_EACH = 60
VOTERS, TASTE = 60, 0.13

Truth: TypeAlias = Floats
Fit: TypeAlias = Callable[[Counts], Estimates]


class Setting(NamedTuple):
    models: int
    votes: int
    spread: float = 1.0  # of the strengths, from best to worst, in log-odds


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of trials, but for the first, which is of trials and models."""

    marginal: float  # a model's interval holds its strength
    together: float  # the differences of all pairs are within what the critical value allows
    wrong_rank: float  # some model's rank is not in its rank set
    wrong_marginal_rank: float  # the same, if ranks are read off marginal intervals that do not overlap
    open_ranks: float  # ranks in a rank set, on average
    open_marginal_ranks: float

    @classmethod
    def mean(cls, of: Iterable[Sequence[float]]) -> "Coverage":
        return cls(*np.mean(list(of), axis=0).tolist())


def run(*, is_quick: bool) -> Findings:
    trials = 10 if is_quick else 500
    settings = [
        *(Setting(*of) for of in product(MODELS, VOTES)),
        *(Setting(*of, ALIKE) for of in product(MODELS, VOTES[:1])),
    ]
    covered = {setting: simulate(setting, trials) for setting in settings}
    few = 5 if is_quick else 200
    ways = {setting: ways_compared(setting, few) for setting in (Setting(4, 2_000), Setting(8, 10_000))}
    flagged = flags(range(2 if is_quick else 20))
    tables = _coverage_table(covered, trials), _ways_table(ways, few), _flags_table(flagged)
    return Findings(tables=tables, aims=(*_coverage_aims(covered), *_flag_aims(flagged)))


def simulate(setting: Setting, trials: int, fit: Fit = fit_bradley_terry) -> Coverage:
    """Each trial has its own truth, drawn as in the Chatbot Arena paper, and its own seed."""
    return Coverage.mean(_trial(setting, seed, fit) for seed in range(trials))


def _trial(setting: Setting, seed: int, fit: Fit) -> tuple[float, ...]:
    rng = np.random.default_rng([setting.models, setting.votes, seed])
    truth = _truth(setting, rng)
    found = fit(drawn(truth, setting.votes, rng))
    ranks = rank_sets(found, CONFIDENCE, seed=seed)
    lower, upper = interval(found, CONFIDENCE)
    one, other = np.triu_indices(setting.models, 1)
    missed = np.abs((found.strengths - truth)[one] - (found.strengths - truth)[other])
    best, worst = 1 + (lower[:, None] > upper).sum(axis=0), (lower <= upper[:, None]).sum(axis=0)
    rank = 1 + (truth[:, None] > truth).sum(axis=0)
    return (
        float(((lower <= truth) & (truth <= upper)).mean()),
        float((missed <= (ranks.critical_value or 0) * difference_errors(found)[one, other]).all()),
        float(((rank < ranks.lower) | (rank > ranks.upper)).any()),
        float(((rank < best) | (rank > worst)).any()),
        float((ranks.upper - ranks.lower + 1).mean()),
        float((worst - best + 1).mean()),
    )


def _truth(setting: Setting, rng: np.random.Generator) -> Truth:
    strengths = setting.spread * rng.beta(0.5, 0.5, setting.models)
    return np.asarray(strengths - strengths.mean())


def drawn(truth: Truth, votes: int, rng: np.random.Generator) -> Counts:
    """Pairs and sides uniformly; equal models tie in half of the votes, others the less, the more they differ."""
    left_better = 1 / (1 + np.exp(truth - truth[:, None]))
    tie = np.minimum(left_better, 1 - left_better)
    chances = np.zeros((len(Outcome), len(truth), len(truth)))
    chances[Outcome.TIE], chances[Outcome.BOTH_BAD] = 0.6 * tie, 0.4 * tie
    chances[Outcome.LEFT], chances[Outcome.RIGHT] = left_better - tie / 2, 1 - left_better - tie / 2
    chances *= 1 - np.eye(len(truth))
    cast = rng.multinomial(votes, chances.ravel() / chances.sum()).reshape(chances.shape)
    return Counts(_names(len(truth)), cast, cast.astype(np.float64), cast.astype(np.float64))


def _names(models: int) -> tuple[str, ...]:
    return tuple(f"model {number:02}" for number in range(models))


def ways_compared(setting: Setting, trials: int) -> dict[tuple[str, str], float]:
    """Marginal coverage, by kind of votes and of interval."""
    held: dict[tuple[str, str], list[float]] = {}
    for seed in range(trials):
        rng = np.random.default_rng([setting.models, setting.votes, seed])
        truth = _truth(setting, rng)
        alone = drawn(truth, setting.votes, rng)
        by_taste = _of_voters(truth, setting.votes, rng)
        voter = by_taste.voter
        assert voter is not None
        fit = fit_bradley_terry(Counts.of(by_taste))
        ways = {
            ("each vote for itself", "sandwich"): fit_bradley_terry(alone),
            ("each vote for itself", "bootstrap"): bootstrap(alone, seed=seed),
            ("voters with tastes", "sandwich"): fit,
            ("voters with tastes", "sandwich by voter"): clustered(fit, by_taste, voter),
            ("voters with tastes", "bootstrap by voter"): bootstrap_clusters(by_taste, voter, seed=seed),
        }
        for way, found in ways.items():
            lower, upper = interval(found, CONFIDENCE)
            held.setdefault(way, []).append(float(((lower <= truth) & (truth <= upper)).mean()))
    return {way: float(np.mean(shares)) for way, shares in held.items()}


def _of_voters(truth: Truth, votes: int, rng: np.random.Generator) -> Comparisons:
    """Some vote ten times as often as others. What a voter likes moves the chance of a model by up to TASTE, and on
    average over voters not at all, so that the truth stays what it is."""
    liking = rng.uniform(-TASTE, TASTE, (VOTERS, len(truth)))
    often = rng.uniform(0.1, 1, VOTERS)
    voter = rng.choice(VOTERS, votes, p=often / often.sum())
    left = rng.integers(len(truth), size=votes)
    right = (left + rng.integers(1, len(truth), size=votes)) % len(truth)
    chance = 1 / (1 + np.exp(truth[right] - truth[left])) + liking[voter, left] - liking[voter, right]
    outcome = np.where(rng.random(votes) < chance, Outcome.LEFT, Outcome.RIGHT)
    codes = (each.astype(np.int32) for each in (left, right))
    return Comparisons(_names(len(truth)), *codes, outcome.astype(np.int8), voter=voter.astype(np.int32))


def flags(seeds: range) -> dict[str, list[float]]:
    """Shares of voters with VOTES_EACH votes that were flagged, by what they did; a share a crowd."""
    shares: dict[str, list[float]] = {}
    for seed in seeds:
        voters = {HONEST: 150, **dict.fromkeys(BEHAVIOURS, 4)}
        votes, behaviours = crowd(np.random.default_rng(seed), voters, VOTES_EACH, World())
        found = find_anomalies(votes, level=LEVEL)
        for behaviour in voters:
            is_one = behaviours[found.voters] == behaviour
            shares.setdefault(behaviour, []).append(float(found.is_flagged[is_one].mean()))
    return shares


def _coverage_table(covered: dict[Setting, Coverage], trials: int) -> Table:
    return Table(
        title=f"Intervals and ranks at a confidence of {CONFIDENCE}",
        note=f"{trials} trials each, with strengths from Beta(1/2, 1/2) times the spread, and ties; sandwich errors. "
        "All pairs at once: the share of trials in which every difference was within the critical value. Wrong rank: "
        "that of trials in which any model's true rank was not in its rank set; beside it the same for ranks read off "
        "marginal intervals that do not overlap. Open ranks are those in a rank set, on average. Where the spread is "
        "next to nothing, nobody can be told apart, and whatever seems so is chance.",
        columns=(
            *("models", "votes", "spread", "marginal", "all pairs at once", "wrong rank", "wrong rank, marginal"),
            *("open ranks", "open ranks, marginal"),
        ),
        rows=tuple(
            (
                *setting[:2],
                setting.spread if setting.spread > ALIKE else "almost 0",
                *(of.marginal, of.together, of.wrong_rank, of.wrong_marginal_rank),
                *(of.open_ranks, of.open_marginal_ranks),
            )
            for setting, of in covered.items()
        ),
    )


def _ways_table(ways: dict[Setting, dict[tuple[str, str], float]], trials: int) -> Table:
    return Table(
        title="Intervals of one model, by way",
        note=f"{trials} trials each, bootstraps of 1,000 rounds. Voters with tastes are {VOTERS}, some of whom vote "
        f"ten times as often as others; they choose a model by up to {TASTE:.0%} more or less often than all do.",
        columns=("models", "votes", "of which", "interval", "marginal"),
        rows=tuple(
            (setting.models, setting.votes, *way, held)
            for setting, by_way in ways.items()
            for way, held in by_way.items()
        ),
    )


def _flags_table(shares: dict[str, list[float]]) -> Table:
    number = len(shares[HONEST])
    return Table(
        title=f"Voters flagged after {VOTES_EACH} votes, at a level of {LEVEL}",
        note=f"{number} crowds of 150 honest voters and 4 of each other kind, on {World().models} models.",
        columns=("voters", "flagged"),
        rows=tuple((behaviour, float(np.mean(each))) for behaviour, each in shares.items()),
    )


def _coverage_aims(covered: dict[Setting, Coverage]) -> tuple[Aim, ...]:
    marginal = [of.marginal for of in covered.values()]
    return (
        Aim(
            key="coverage_marginal_least",
            text="Marginal intervals: coverage, the least",
            at_least=0.93,
            measured=min(marginal),
        ),
        Aim(
            key="coverage_marginal_most",
            text="Marginal intervals: coverage, the most",
            at_most=0.97,
            measured=max(marginal),
        ),
        Aim(
            key="coverage_together",
            text="Simultaneous intervals of all pairs: coverage, the least",
            at_least=0.92,
            measured=min(of.together for of in covered.values()),
        ),
        Aim(
            key="coverage_ranks",
            text="Rank sets: trials with any wrong one, the most",
            at_most=0.08,
            measured=max(of.wrong_rank for of in covered.values()),
        ),
    )


def _flag_aims(shares: dict[str, list[float]]) -> Iterable[Aim]:
    flagged = {behaviour: float(np.mean(each)) for behaviour, each in shares.items()}
    yield Aim(key="coverage_flags_honest", text="Honest voters flagged", at_most=LEVEL, measured=flagged[HONEST])
    for behaviour, at_least in POWER.items():
        text = f"Voters flagged who vote {WORDS[behaviour]}"
        yield Aim(key=f"coverage_flags_{behaviour}", text=text, at_least=at_least, measured=flagged[behaviour])
