"""Ratings that can be shown, of an arena as it votes or of a board from a file: one category, in one of two ways."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from fastchat.arena.leaderboard.board import (
    OVERALL,
    Board,
    CategoryBoard,
    HistoryPoint,
    ModelFacts,
    ModelRow,
    VariantRow,
)
from fastchat.arena.leaderboard.rating import RatingOptions
from fastchat.arena.standings import Standings
from fastchat.web.boards import category_title
from fastchat.web.result_files import Facts
from fastchat.web.texts import Texts

_NO_FACTS = ModelFacts()

History = Callable[[], Awaitable[Sequence[HistoryPoint]]]


@dataclass(frozen=True, slots=True)
class Rated:
    title: str
    name: str  # of the category
    categories: Sequence[str]  # that can be chosen
    category: CategoryBoard
    options: RatingOptions
    facts: Mapping[str, ModelFacts]
    history: History
    notes: Sequence[str]
    address: str  # of the board as a file, from the page
    made_of: Mapping[str, str]  # keys of texts, and what is to be said
    variants: Sequence[VariantRow] = ()
    is_raw: bool = False  # as it was voted, where it could be controlled for style
    board: Board | None = None  # what a file says beyond its categories

    @property
    def rows(self) -> Sequence[ModelRow]:
        return self.category.raw if self.is_raw and self.category.raw is not None else self.category.models

    @property
    def can_be_raw(self) -> bool:
        return self.category.raw is not None

    @property
    def is_controlled(self) -> bool:
        return self.can_be_raw and not self.is_raw

    def facts_of(self, model: str) -> ModelFacts:
        return self.facts.get(model, _NO_FACTS)

    def named(self, model: str) -> str:
        return self.facts_of(model).title or model


async def live(
    standings: Standings, category: str | None, arena: str, facts: Mapping[str, Facts], texts: Texts
) -> Rated:
    name = category if category in standings.categories else OVERALL
    found = await standings.category(name)
    notes = [texts("board_live_is", votes=f"{found.votes:,}")]
    if standings.left_out:
        notes.append(texts("board_left_out", count=f"{standings.left_out:,}"))
    if standings.last_vote_at is not None:
        notes.append(texts("board_last_vote", time=moment(standings.last_vote_at)))
    return Rated(
        title=texts("board_live"),
        name=name,
        categories=standings.categories,
        category=found,
        options=standings.live.options,
        facts=_of_table(facts),
        history=standings.history,
        notes=[*notes, *found.notes],
        address=f"api/arena/leaderboard?{urlencode({'arena': arena})}",
        made_of={"board_digest": found.digest},
        variants=await standings.variants(),
    )


async def built(
    board: Board, category: str | None, arena: str, facts: Mapping[str, Facts], texts: Texts, *, is_raw: bool
) -> Rated:
    name = category if category is not None and category in board.categories else next(iter(board.categories))
    found = board.categories[name]

    async def history() -> Sequence[HistoryPoint]:
        return board.history

    of_ratings = {key: value for key, value in board.parameters.items() if key in RatingOptions.model_fields}
    return Rated(
        title=f"{texts('board_built')}: {category_name(name, texts)}",
        name=name,
        categories=tuple(board.categories),
        category=found,
        options=RatingOptions.model_validate(of_ratings),
        facts={**_of_table(facts), **board.facts},
        history=history,
        notes=[
            texts("board_built_is", votes=f"{found.votes:,}"),
            texts("board_updated", time=moment(board.built_at)),
            *found.notes,
        ],
        address=f"leaderboard/board.json?{urlencode({'arena': arena})}",
        made_of={"board_digest": found.digest, "board_version": board.code_version},
        variants=board.variants,
        is_raw=is_raw,
        board=board,
    )


def category_name(name: str, texts: Texts) -> str:
    return texts("board_overall") if name == OVERALL else category_title(name)


def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _of_table(facts: Mapping[str, Facts]) -> dict[str, ModelFacts]:
    return {
        key: ModelFacts(title=row.name, organization=row.organization, license=row.license, link=row.safe_link or "")
        for key, row in facts.items()
    }
