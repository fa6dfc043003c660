"""Plain counts of an arena's votes, model by model. It is no ranking of models, only what the voters said.

Only blind battles count, and of them only those whose answers did not name their writer. A tie and "both are bad" are
half a win. Models meet unequal opponents, and nothing here corrects for that; ratings that do are computed elsewhere.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

from fastchat.arena.records import Mark, Mode, Outcome
from fastchat.arena.store.store import Ballot, CountedVote

PRELIMINARY_BELOW = 100  # battles; with as many, the interval is still some 19 points wide
LEFT_OUT = frozenset({Mark.NAMES_ITSELF})  # such a battle was not blind

_Z_95 = 1.959963984540054


class Interval(NamedTuple):
    low: float
    high: float


def wilson(wins: float, trials: int) -> Interval:
    """Of a share, at 95 %. It stays within 0 and 1 and is right for few trials; without any it is all there is.

    With halves among the wins it is somewhat too wide, never too narrow: a half varies less than a win or a loss.
    """
    if not trials:
        return Interval(0.0, 1.0)
    share, z2 = wins / trials, _Z_95 * _Z_95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z_95 / (1 + z2 / trials) * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the battles of one model went."""

    model: str
    wins: int = 0
    losses: int = 0
    ties: int = 0
    both_bad: int = 0

    @property
    def battles(self) -> int:
        return self.wins + self.losses + self.ties + self.both_bad

    @property
    def win_rate(self) -> float | None:
        """Among the battles that somebody won; None if nobody did."""
        decided = self.wins + self.losses
        return self.wins / decided if decided else None

    @property
    def score(self) -> float:
        """Wins and half of what was equal, among all battles."""
        return (self.wins + (self.ties + self.both_bad) / 2) / self.battles if self.battles else 0.0

    @property
    def interval(self) -> Interval:
        """Of the score."""
        return wilson(self.score * self.battles, self.battles)

    @property
    def is_preliminary(self) -> bool:
        return self.battles < PRELIMINARY_BELOW


@dataclass(frozen=True, slots=True)
class Standings:
    """What was counted, the surest first, and what was not."""

    rows: tuple[Standing, ...]
    votes: int
    left_out: int = 0  # votes on battles whose answers told who wrote them
    last_vote_at: float | None = None


@dataclass(slots=True)
class Counting:
    """Counts of one arena that grow by a vote at a time: filled from the store at the start, then by every vote."""

    _outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    _votes: int = 0
    _left_out: int = 0
    _last_vote_at: float | None = None

    def add(self, vote: CountedVote | Ballot) -> None:
        if vote.mode != Mode.BATTLE or vote.model_a == vote.model_b:
            return
        if vote.marks & LEFT_OUT:
            self._left_out += 1
            return
        self._votes += 1
        self._last_vote_at = max(vote.cast_at, self._last_vote_at or vote.cast_at)
        for model, what in zip((vote.model_a, vote.model_b), _OUTCOMES[vote.outcome], strict=True):
            self._outcomes.setdefault(model, Counter())[what] += 1

    def add_all(self, votes: Iterable[CountedVote | Ballot]) -> None:
        for vote in votes:
            self.add(vote)

    def standings(self, hidden: Collection[str] = ()) -> Standings:
        """`hidden`: models that are not to be listed; their opponents' battles against them count."""
        rows = [Standing(model, **counts) for model, counts in self._outcomes.items() if model not in hidden]
        rows.sort(key=lambda row: (-row.interval.low, -row.battles, row.model))
        return Standings(tuple(rows), self._votes, self._left_out, self._last_vote_at)


# What a vote is to the left model and to the right one.
_OUTCOMES = {
    Outcome.LEFT: ("wins", "losses"),
    Outcome.RIGHT: ("losses", "wins"),
    Outcome.TIE: ("ties", "ties"),
    Outcome.BOTH_BAD: ("both_bad", "both_bad"),
}
