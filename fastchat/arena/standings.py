"""Which votes of an arena its leaderboard counts, and how it stands at the moment.

Only blind battles count, and of them only those whose answers did not name their writer. Models that are not listed
have no place on it; battles against them count for their opponents, and stand among the pairs from which anyone
computes it again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from fastchat.arena.leaderboard.board import OVERALL, Board, CategoryBoard, HistoryPoint, VariantRow
from fastchat.arena.leaderboard.categories.languages import code_of, name_of
from fastchat.arena.leaderboard.live import LiveBoard, LiveVote
from fastchat.arena.leaderboard.rating import listed
from fastchat.arena.records import Mark, Mode, Outcome
from fastchat.arena.store.store import Ballot, CountedVote
from fastchat.ranking.comparisons import Outcome as Ranked

LEFT_OUT = frozenset({Mark.NAMES_ITSELF})  # such a battle was not blind

_OUTCOMES = {
    Outcome.LEFT: Ranked.LEFT,
    Outcome.RIGHT: Ranked.RIGHT,
    Outcome.TIE: Ranked.TIE,
    Outcome.BOTH_BAD: Ranked.BOTH_BAD,
}


@dataclass(frozen=True, slots=True)
class Standings:
    """What may be shown of an arena's leaderboard. Ratings are made when they are asked for."""

    live: LiveBoard
    left_out: int = 0  # votes on battles whose answers told who wrote them
    last_vote_at: float | None = None
    unlisted: frozenset[str] = frozenset()
    source: Mapping[str, Any] = field(default_factory=dict)  # Any: plain JSON

    @property
    def version(self) -> str:
        """Another one after each vote, and where other models are listed."""
        of_unlisted = sha256("\0".join(sorted(self.unlisted)).encode()).hexdigest()[:8]
        return f"{self.live.votes}-{self.left_out}-{of_unlisted}"

    @property
    def votes(self) -> int:
        return self.live.votes

    @property
    def categories(self) -> tuple[str, ...]:
        return self.live.categories

    async def category(self, name: str = OVERALL) -> CategoryBoard:
        """
        Raises:
            KeyError: there is no such category.
        """
        return listed(await self.live.category(name), self.unlisted)

    async def variants(self) -> tuple[VariantRow, ...]:
        """Of all votes, whatever category is looked at."""
        return await self.live.variants(self.unlisted)

    async def history(self) -> tuple[HistoryPoint, ...]:
        return await self.live.history()

    async def board(self, now: float) -> Board:
        """All categories, to be kept and verified."""
        return await self.live.board(self.source, now=now, unlisted=self.unlisted)


@dataclass(slots=True)
class Counting:
    """Votes of one arena that grow by one at a time: filled from the store at the start, then by every vote."""

    _live: LiveBoard = field(default_factory=LiveBoard)
    _left_out: int = 0
    _last_vote_at: float | None = None

    def add(self, vote: CountedVote | Ballot) -> None:
        if vote.mode != Mode.BATTLE or vote.model_a == vote.model_b:
            return
        if vote.marks & LEFT_OUT:
            self._left_out += 1
            return
        self._last_vote_at = max(vote.cast_at, self._last_vote_at or vote.cast_at)
        outcome = _OUTCOMES[vote.outcome]
        self._live.add(LiveVote(vote.model_a, vote.model_b, outcome, vote.cast_at, tuple({*_categories(vote)})))

    def add_all(self, votes: Iterable[CountedVote | Ballot]) -> None:
        for vote in votes:
            self.add(vote)

    def standings(self, unlisted: Collection[str] = (), source: Mapping[str, Any] | None = None) -> Standings:
        """`source`: what is said of where the votes are kept."""
        told = {**(source or {}), "left_out": self._left_out, "last_vote_at": self._last_vote_at}
        return Standings(self._live, self._left_out, self._last_vote_at, frozenset(unlisted), told)


def _categories(vote: CountedVote | Ballot) -> Iterator[str]:
    """What its conversation was filed under, and its language by its English name, where these are known."""
    if vote.category and vote.category != OVERALL:
        yield vote.category
    if vote.language and (code := code_of(vote.language)):
        yield name_of(code).lower()
