"""Votes counted by pair of models: what active sampling and boosts have to know, and nothing else.

It lives in memory and is filled from the store at the start. Who voted, when and in which battle stays in the store.
"""

from collections import Counter
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

from fastchat.arena.records import Outcome

Pair: TypeAlias = tuple[str, str]  # two names, in the order of the alphabet


def pair_of(model_a: str, model_b: str) -> Pair:
    return (model_a, model_b) if model_a < model_b else (model_b, model_a)


@dataclass(frozen=True, slots=True)
class PairVotes:
    """How the votes between two models went. A vote is worth 1 to its winner and 1/2 if both are equal or both bad.

    Estimates start from one imagined win of each side. So they are finite where nobody has voted, no row of equal
    outcomes makes a pair certain, and no pair promises more than one without votes.
    """

    first_wins: int = 0
    second_wins: int = 0
    ties: int = 0
    both_bad: int = 0

    def __add__(self, other: "PairVotes") -> "PairVotes":
        return PairVotes(
            self.first_wins + other.first_wins,
            self.second_wins + other.second_wins,
            self.ties + other.ties,
            self.both_bad + other.both_bad,
        )

    @property
    def votes(self) -> int:
        return self.first_wins + self.second_wins + self.ties + self.both_bad

    @property
    def variance(self) -> float:
        """Of one vote. The Chatbot Arena paper's S_aa."""
        # The paper takes it of votes divided by their probability of being drawn. But its standard error divides by
        # the pair's own votes, and that is right for the plain variance only.
        wins, halves = self.first_wins + 1, self.ties + self.both_bad
        mean = (wins + halves / 2) / self._weight
        return (wins + halves / 4) / self._weight - mean * mean

    @property
    def gain(self) -> float:
        """By how much one more vote shrinks the standard error: equation 9 of arXiv 2403.04132."""
        return sqrt(self.variance / self._weight) - sqrt(self.variance / (self._weight + 1))

    @property
    def _weight(self) -> int:
        return self.votes + 2


NO_VOTES = PairVotes()


class Tally:
    """Counts that grow by a vote at a time."""

    def __init__(self) -> None:
        self._pairs: dict[Pair, PairVotes] = {}
        self._gains: dict[Pair, float] = {}  # kept, because every active draw asks for all of them
        self._votes: Counter[str] = Counter()

    def add(self, model_a: str, model_b: str, outcome: Outcome, votes: int = 1) -> None:
        """`model_a` stood on the left. A model's votes against itself, as in FastChat's logs, count for nothing."""
        if model_a == model_b:
            return
        pair = pair_of(model_a, model_b)
        after = self.between(model_a, model_b) + _counted(outcome, model_a == pair[0], votes)
        self._pairs[pair], self._gains[pair] = after, after.gain
        self._votes.update({model_a: votes, model_b: votes})

    def between(self, model_a: str, model_b: str) -> PairVotes:
        """Its first is the one whose name comes first, whichever way it was asked."""
        return self._pairs.get(pair_of(model_a, model_b), NO_VOTES)

    def gains(self, pairs: tuple[Pair, ...]) -> list[float]:
        """What one more vote would teach about each of them."""
        unseen, known = NO_VOTES.gain, self._gains
        return [known.get(pair, unseen) for pair in pairs]

    def votes_of(self, model: str) -> int:
        return self._votes[model]


def _counted(outcome: Outcome, is_first_left: bool, votes: int) -> PairVotes:
    match outcome:
        case Outcome.TIE:
            return PairVotes(ties=votes)
        case Outcome.BOTH_BAD:
            return PairVotes(both_bad=votes)
        case Outcome.LEFT:
            return PairVotes(first_wins=votes) if is_first_left else PairVotes(second_wins=votes)
        case Outcome.RIGHT:
            return PairVotes(second_wins=votes) if is_first_left else PairVotes(first_wins=votes)
