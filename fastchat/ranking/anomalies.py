"""Voters who do not vote as others do: a test that may be looked at after every vote.

Each vote of a voter is a bet: on what a voter of some kind would say (`Kind`), against what the others make likely
(`expected`). The winnings, averaged over the kinds, are an e-process: those of a voter who votes as others do reach
1/level, at whatever time, with a probability of at most `level` (Ville's inequality). That holds as far as the others
tell what is likely; how far, simulations show. The test says that somebody votes unlike others, not why.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastchat import __version__
from fastchat.ranking.comparisons import NOBODY, Codes, Comparisons, Floats, Mask, Outcome
from fastchat.ranking.expected import OUTCOMES, Runs, expected, order_of

LEVEL = 0.05
_SLIP = 0.1  # share of votes that do not follow even a fixed intention
_MOST = math.log(1e9)  # no bet wins more: a bounded supermartingale is one, and sums keep their precision
_BLOCK = 1 << 15  # about so many votes are tested at once, of whole voters; their numbers fit into a core's cache
_OWN_VOTES = 100.0  # of the others, as many as stand beside a voter's own share of ties


class Kind(IntEnum):
    """What is bet on."""

    COIN = 0
    ANY = 1
    LEFT = 2
    RIGHT = 3
    TIE = 4
    BOTH_BAD = 5
    CONTRARIAN = 6
    FLIPPED = 7
    HABIT = 8
    FAVOURITE = 9
    REJECTED = 10

    @property
    def words(self) -> str:
        return _KINDS[self].words


class _Described(NamedTuple):
    words: str
    stake: float  # share of it; votes at random are the hardest to tell, so most is on them


_KINDS = {
    Kind.COIN: _Described("left or right at random", 0.3),
    Kind.ANY: _Described("any outcome at random", 0.25),
    Kind.LEFT: _Described("always left", 0.05),
    Kind.RIGHT: _Described("always right", 0.05),
    Kind.TIE: _Described("always a tie", 0.05),
    Kind.BOTH_BAD: _Described("always both bad", 0.05),
    Kind.CONTRARIAN: _Described("against the majority", 0.05),
    Kind.FLIPPED: _Described("as if the sides were mixed up", 0.05),
    Kind.HABIT: _Described("one side more often than the other", 0.05),
    Kind.FAVOURITE: _Described("for one model", 0.05),
    Kind.REJECTED: _Described("against one model", 0.05),
}


@dataclass(frozen=True, slots=True, eq=False)
class Anomalies:
    """Of every voter that is known, by code."""

    voters: Codes  # (voters,)
    votes: NDArray[np.int64]  # (voters,)
    largest: Floats  # (voters,): natural logarithm of the most that was ever won
    final: Floats  # (voters,): of what was won with the last vote
    reached_after: NDArray[np.int64]  # (voters,): votes until 1/level was reached; 0: it was not
    kind: NDArray[np.int8]  # (voters,) of Kind: the bet that won most on all their votes
    level: float
    parameters: Mapping[str, Any]  # plain JSON values
    digest: str  # of the comparisons
    version: str  # of the code

    @property
    def is_flagged(self) -> Mask:
        return np.asarray(self.reached_after > 0)

    @property
    def flagged(self) -> Codes:
        return np.asarray(self.voters[self.is_flagged])

    def discoveries(self, rate: float) -> Mask:
        """Voters among whom at most this share is expected to be there wrongly, whatever depends on what (e-BH)."""
        return _most_certain(self.final, rate)


def find_anomalies(comparisons: Comparisons, *, level: float = LEVEL) -> Anomalies:
    """By the order of their time, else of the rows. Weights are not looked at; voters who are not known only count as
    others.

    Raises:
        ValueError: no voters are known, or the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"the level of false alarms lies between 0 and 1; given: {level}")
    if comparisons.voter is None or (comparisons.voter == NOBODY).all():
        raise ValueError("without voters no voter can be tested")
    order = np.arange(len(comparisons)) if comparisons.time is None else np.argsort(comparisons.time, kind="stable")
    rows = order[order_of(comparisons.voter[order].astype(np.int64) - NOBODY)]
    rows = rows[comparisons.voter[rows] != NOBODY]
    likely = np.empty((OUTCOMES, len(comparisons)))
    likely[:, order] = expected(comparisons.select(order))
    starts = Runs.of_sorted(comparisons.voter[rows].astype(np.int64)).starts
    blocks = np.split(rows, starts[np.flatnonzero(np.diff(starts // _BLOCK, prepend=0))])
    found = [_tested(comparisons.select(block), likely[:, block], level) for block in blocks]
    voters, votes, largest, final, reached_after, kind = map(np.concatenate, zip(*found, strict=True))
    return Anomalies(
        voters=voters,
        votes=votes,
        largest=largest,
        final=final,
        reached_after=reached_after,
        kind=kind,
        level=level,
        parameters={"level": level, "slip": _SLIP, "own_votes": _OWN_VOTES, "kinds": [kind.words for kind in Kind]},
        digest=comparisons.digest,
        version=__version__,
    )


class _Tested(NamedTuple):
    """(voters,) each, as in `Anomalies`."""

    voters: Codes
    votes: NDArray[np.int64]
    largest: Floats
    final: Floats
    reached_after: NDArray[np.int64]
    kind: NDArray[np.int8]


def _tested(votes: Comparisons, likely: Floats, level: float) -> _Tested:
    """All votes of some voters, one voter after the other."""
    assert votes.voter is not None
    runs = Runs.of_sorted(votes.voter.astype(np.int64))
    winnings = _winnings(votes, likely, runs)
    total = np.logaddexp.reduce(winnings.so_far, axis=0)
    reached = _first(total >= -math.log(level), runs)
    return _Tested(
        votes.voter[runs.starts],
        runs.lengths,
        np.maximum.reduceat(total, runs.starts),
        total[runs.starts + runs.lengths - 1],
        np.where(reached < len(votes), reached - runs.starts + 1, 0),
        winnings.at_last.argmax(axis=0).astype(np.int8),
    )


class _Winnings(NamedTuple):
    """Logarithms of what each share of the stake has become."""

    so_far: Floats  # (kinds, rows)
    at_last: Floats  # (kinds, voters): without the limit to what a bet on a model can win


def _winnings(tested: Comparisons, likely: Floats, runs: Runs) -> _Winnings:
    """People differ in how often they find a tie. So bets on sides are settled by the votes that chose one, and bets on
    ties have to foresee them better than the voter's own share of ties does.
    """
    outcome = tested.outcome.astype(np.int64)
    is_decided = outcome <= Outcome.RIGHT
    left = likely[Outcome.LEFT] / (likely[Outcome.LEFT] + likely[Outcome.RIGHT])
    chosen = np.where(outcome == Outcome.LEFT, left, 1 - left)
    sort = _likely_sort(outcome, likely, runs)

    def on_side(share: Floats | float) -> Floats:
        return np.where(is_decided, np.log(share / chosen), 0.0)

    def always(side: int | NDArray[np.int64]) -> Floats:
        return on_side(np.where(outcome == side, 1 - _SLIP, _SLIP))

    def always_undecided(wanted: Outcome) -> Floats:
        return np.log(np.where(outcome == wanted, (1 - _SLIP) / sort, 0.0) + _SLIP)

    bets = {
        Kind.COIN: on_side(0.5),
        Kind.ANY: np.log(1 / OUTCOMES / np.where(is_decided, sort * chosen, sort)),
        Kind.LEFT: always(Outcome.LEFT),
        Kind.RIGHT: always(Outcome.RIGHT),
        Kind.TIE: always_undecided(Outcome.TIE),
        Kind.BOTH_BAD: always_undecided(Outcome.BOTH_BAD),
        Kind.CONTRARIAN: always(np.where(left > 0.5, Outcome.RIGHT, Outcome.LEFT)),
        Kind.FLIPPED: on_side(1 - chosen),
        Kind.HABIT: on_side(_habit(outcome, runs)),
    }
    on_models = {
        Kind.FAVOURITE: _on_each_model(tested, bets[Kind.LEFT], bets[Kind.RIGHT], runs),
        Kind.REJECTED: _on_each_model(tested, bets[Kind.RIGHT], bets[Kind.LEFT], runs),
    }
    so_far = np.stack([on_models[kind].won if kind in on_models else runs.cumulated(bets[kind]) for kind in Kind])
    at_last = so_far[:, np.append(runs.starts[1:], len(tested)) - 1]
    for kind, won in on_models.items():
        at_last[kind] = won.unlimited
    stakes = np.log([[_KINDS[kind].stake] for kind in Kind])
    return _Winnings(so_far + stakes, at_last + stakes)


def _likely_sort(outcome: NDArray[np.int64], likely: Floats, runs: Runs) -> Floats:
    """How likely it was that the vote is of its sort (a side, a tie, both bad), of a voter who so far has given more or
    less of each than was to be expected."""
    sort = np.maximum(outcome, Outcome.RIGHT) - Outcome.RIGHT
    chances = np.stack([likely[: Outcome.TIE].sum(axis=0), likely[Outcome.TIE], likely[Outcome.BOTH_BAD]])
    given = (sort == np.arange(len(chances))[:, None]).astype(np.float64)
    usual = _OWN_VOTES * chances.mean(axis=1, keepdims=True)
    more_than_usual = (runs.cumulated(given) - given + usual) / (runs.cumulated(chances) - chances + usual)
    inclined = chances * more_than_usual
    return np.asarray((inclined / inclined.sum(axis=0))[sort, np.arange(len(sort))])


def _habit(outcome: NDArray[np.int64], runs: Runs) -> Floats:
    """How often the voter chose this side before, with half a vote for each beforehand."""
    chose = (outcome == np.arange(2)[:, None]).astype(np.float64)
    before = runs.cumulated(chose) - chose
    side = np.minimum(outcome, Outcome.RIGHT)
    return np.asarray((before[side, np.arange(len(side))] + 0.5) / (before.sum(axis=0) + 1))


class _OnModels(NamedTuple):
    won: Floats  # (rows,): logarithm of what the bets on all models have won so far, together
    unlimited: Floats  # (voters,): of what they would have won at last, had none been stopped


def _on_each_model(tested: Comparisons, of_left: Floats, of_right: Floats, runs: Runs) -> _OnModels:
    """An equal share of the stake on every model: its bet wins or loses whenever the model comes, on either side."""
    size, rows = len(tested.models), len(tested)
    key = np.concatenate([runs.of * size + tested.left, runs.of * size + tested.right])
    order = order_of(key * rows + np.tile(np.arange(rows), 2))
    each = Runs.of_sorted(key[order])
    logs = each.cumulated(np.concatenate([of_left, of_right])[order])
    at_last = np.append(each.starts[1:], 2 * rows) - 1
    unlimited = np.full(len(runs.starts), -np.inf)
    np.logaddexp.at(unlimited, key[order][at_last] // size, logs[at_last])
    won = np.exp(np.minimum(logs, _MOST))
    before = np.roll(won, 1)
    before[each.starts] = 1.0
    gain = np.empty(2 * rows)
    gain[order] = (won - before) / size
    total = gain[:rows] + gain[rows:]
    # One voter after the other: a large win of one would swallow the decimals of all who follow.
    for start, end in zip(runs.starts, np.append(runs.starts[1:], rows), strict=True):
        np.cumsum(total[start:end], out=total[start:end])
    return _OnModels(np.log(np.maximum(1.0 + total, np.finfo(np.float64).tiny)), unlimited - math.log(size))


def _first(is_so: Mask, runs: Runs) -> NDArray[np.int64]:
    """(runs,): the first such row of each, and the number of rows where there is none."""
    places = np.where(is_so, np.arange(len(is_so)), len(is_so))
    return np.asarray(np.minimum.reduceat(places, runs.starts))


def _most_certain(evidence: Floats, rate: float) -> Mask:
    """The most voters so that each has at least all/(those·rate) (Wang and Ramdas, 2022)."""
    order = np.argsort(-evidence, kind="stable")
    number = len(evidence)
    enough = evidence[order] >= math.log(number / rate) - np.log(np.arange(1, number + 1))
    found = np.zeros(number, dtype=bool)
    found[order[: int(np.flatnonzero(enough).max(initial=-1)) + 1]] = True
    return found
