"""A board that follows its votes, made from their counts alone when somebody looks.

A fit always starts from the beginning, so this is to the last digit the board that the same votes give when they are
read anew. What takes time happens in a thread, over a copy.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from fastchat import __version__
from fastchat.arena.leaderboard.board import OVERALL, Board, CategoryBoard, HistoryPoint, VariantRow
from fastchat.arena.leaderboard.growing import Days, GrowingCounts, cell
from fastchat.arena.leaderboard.history import MOST_POINTS, point
from fastchat.arena.leaderboard.rating import RatingOptions, category_board, listed
from fastchat.arena.leaderboard.variants import variant_rows
from fastchat.ranking.comparisons import Outcome
from fastchat.ranking.counts import Counts

ResultT = TypeVar("ResultT")


class LiveVote(NamedTuple):
    left: str
    right: str
    outcome: Outcome
    cast_at: float  # UTC seconds
    categories: tuple[str, ...] = ()  # beside that of all votes


class _Made(NamedTuple, Generic[ResultT]):
    votes: int  # it was made of; counts only grow, so as many are the same ones
    result: ResultT


class LiveBoard:
    """Of one arena."""

    def __init__(self, options: RatingOptions | None = None) -> None:
        self.options = options or RatingOptions()
        self._places: dict[str, int] = {}  # of models, in the order in which they were first met
        self._counts = {OVERALL: GrowingCounts()}
        self._days = Days()
        self._boards: dict[str, _Made[CategoryBoard]] = {}
        self._history: dict[float, _Made[HistoryPoint]] = {}  # by the end of the day
        self._making = asyncio.Lock()  # two who look at the same moment would have the same board made twice

    def add(self, vote: LiveVote) -> None:
        left = self._places.setdefault(vote.left, len(self._places))
        right = self._places.setdefault(vote.right, len(self._places))
        one = cell(vote.outcome, left, right)
        for category in (OVERALL, *vote.categories):
            if category not in self._counts:
                self._counts[category] = GrowingCounts()
            self._counts[category].add(one)
        self._days.add(one, vote.cast_at)

    @property
    def votes(self) -> int:
        return self._counts[OVERALL].number

    @property
    def categories(self) -> tuple[str, ...]:
        """The one of all votes first."""
        return (OVERALL, *sorted(self._counts.keys() - {OVERALL}))

    def counts(self, category: str = OVERALL) -> Counts:
        return self._counts[category].counts(list(self._places))

    async def category(self, name: str = OVERALL) -> CategoryBoard:
        """
        Raises:
            KeyError: there is no such category.
        """
        growing = self._counts[name]
        async with self._making:
            made = self._boards.get(name)
            if made is None or made.votes != growing.number:
                votes, counts = growing.number, self.counts(name)
                board = await asyncio.to_thread(category_board, counts, self.options)
                made = self._boards[name] = _Made(votes, board)
        return made.result

    async def history(self) -> tuple[HistoryPoint, ...]:
        """A point for each of the last days with votes: the ratings that all votes until its end give."""
        async with self._making:
            wanted = dict(list(self._days.votes_until().items())[-MOST_POINTS:])
            known = {end: made for end, made in self._history.items() if made.votes == wanted.get(end)}
            missing = [end for end in wanted if end not in known]
            if missing and missing == list(wanted)[-1:]:  # votes of today, as nearly always
                points = [await asyncio.to_thread(point, missing[0], self.counts(), self.options)]
            elif missing:
                points = await asyncio.to_thread(_past, self._days.copy(), missing, list(self._places), self.options)
            else:
                points = []
            self._history = known | {one.until: _Made(wanted[one.until], one) for one in points if one}
        return tuple(self._history[end].result for end in wanted if end in self._history)

    async def variants(self, unlisted: Collection[str] = ()) -> tuple[VariantRow, ...]:
        """Of models of which there are several, those included that are not listed."""
        rows = (await self.category()).models
        return variant_rows(rows, {row.name: row.votes for row in rows}, {}, unlisted, self.options.confidence)

    async def board(self, source: Mapping[str, Any], *, now: float, unlisted: Collection[str] = ()) -> Board:
        """All of it, in the form in which boards are kept and verified. `source` is plain JSON."""
        board = Board(
            code_version=__version__,
            built_at=now,
            source=source,
            parameters=self.options.model_dump(mode="json") | {"unlisted": sorted(unlisted)},
            categories={name: listed(await self.category(name), unlisted) for name in self.categories},
            variants=await self.variants(unlisted),
            history=await self.history(),
        )
        return await asyncio.to_thread(board.sealed)


def _past(
    days: Days, wanted: Sequence[float], names: Sequence[str], options: RatingOptions
) -> list[HistoryPoint | None]:
    return [point(end, growing.counts(names), options) for end, growing in days.counts_until() if end in wanted]
