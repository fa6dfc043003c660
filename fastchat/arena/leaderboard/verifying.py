"""Is a board what its votes give? It is computed again and compared, number by number.

With the votes everything is; without them, what follows from the counts that stand in the board itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from pydantic import ValidationError

from fastchat import __version__
from fastchat.arena.leaderboard.board import OVERALL, Board, CategoryBoard
from fastchat.arena.leaderboard.building import BoardOptions, build
from fastchat.arena.leaderboard.categories import Sources
from fastchat.arena.leaderboard.pairs import counts_of
from fastchat.arena.leaderboard.rating import category_board, listed
from fastchat.arena.leaderboard.variants import variant_rows
from fastchat.arena.leaderboard.votes import VoteTable
from fastchat.core.errors import SetupError

TOLERANCE = 1e-6  # what boards are rounded to
_LARGE_COUNTS = 1e-9  # votes still needed by a pair that is nearly equal, which hang on the last digits of its ratings
VOTES_DIGEST = "votes_sha256"

# What a row of a model has without the errors of its rating.
_ERRORS = frozenset({"lower", "upper", "rank_lower", "rank_upper", "tier"})
_RATINGS = frozenset({"rating", "component", "unbounded", *_ERRORS})


class Difference(NamedTuple):
    where: str
    stated: Any  # JSON, here and below
    computed: Any


@dataclass(frozen=True, slots=True)
class Verification:
    differences: tuple[Difference, ...]
    checked: tuple[str, ...]  # in words
    unchecked: tuple[str, ...]  # likewise, with the reason

    @property
    def is_right(self) -> bool:
        return not self.differences


def options_of(board: Board) -> BoardOptions:
    """
    Raises:
        SetupError: the board does not say how it was made.
    """
    try:
        return BoardOptions.model_validate(board.parameters)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise SetupError(
            f"The board's parameters cannot be read: {name}: {first['msg']}. It was made by version "
            f"{board.code_version} of the code, this is {__version__}."
        ) from None


def verify_votes(board: Board, votes: VoteTable, sources: Sources | None = None) -> Verification:
    """
    Raises:
        SetupError: these votes cannot be put through what the board's were.
    """
    given = {name: facts.model_copy(update=_WITHOUT_MEDIANS) for name, facts in board.facts.items()}
    again = build(votes, options_of(board), now=board.built_at, facts=given, sources=sources)
    stated, computed = (_comparable(one) for one in (board, again))
    missing = [
        name for name in _PARTS if not stated[name]
    ]  # the live board of an arena has no bias panel, for instance
    for name in missing:
        del stated[name], computed[name]
    return Verification(
        (*_sealed(board), *_differences("", stated, computed)),
        ("every number that follows from the votes, and the digests",),
        (
            *(f"{_PARTS[name]}: the board does not have it" for name in missing),
            "facts that were given about models: no votes tell them, only the digest covers them",
        ),
    )


_PARTS = {
    "source": "whether these are the very votes",
    "cleaning": "which votes were left out",
    "bias": "bias",
    "quarantine": "voters who vote unlike others",
    "variants": "variants",
    "history": "history",
    "facts": "facts",
}
_WITHOUT_MEDIANS: Mapping[str, None] = dict.fromkeys(("tokens", "first_token_s", "tokens_per_s"))


def _comparable(board: Board) -> dict[str, Any]:
    content = board.model_dump(mode="json", exclude={"code_version", "built_at", "source", "digest"})
    return {"source": board.source.get(VOTES_DIGEST), **content}


def verify_counts(board: Board) -> Verification:
    """By the pairs of each category alone."""
    options = options_of(board)
    found = [*_sealed(board)]
    for name, stated in board.categories.items():
        again = _from_pairs(stated, options)
        place = f"categories.{name}"
        found += _differences(place, _shown(stated, options), _shown(again, options))
        if name == OVERALL and _is_told(options):
            found += _differences("variants", _dumped(board.variants), _dumped(_variants(board, stated, options)))
    return Verification(tuple(found), _CHECKED[_is_told(options)], tuple(_unchecked(options)))


def _is_told(options: BoardOptions) -> bool:
    """Whether counts tell the ratings with all that stands beside them."""
    return options.rating == "bt" and options.interval != "clustered"


_CHECKED = {
    True: ("ratings, intervals, ranks and what is derived from them, from the board's pairs", "the board's digest"),
    False: ("votes, outcomes and win rates, from the board's pairs", "the board's digest"),
}


def _unchecked(options: BoardOptions) -> Iterator[str]:
    yield "whether the pairs are those of the votes, cleaning, bias, quarantine and history: give the votes"
    if options.style_control:
        yield "ratings controlled for style: the style of each answer is not in the board"
    if options.rating == "elo":
        yield "online Elo: it follows votes in their order"
    elif options.interval == "clustered":
        yield "intervals and ranks: who cast which vote is not in the board"


def _from_pairs(stated: CategoryBoard, options: BoardOptions) -> CategoryBoard:
    plain = options if _is_told(options) else options.model_copy(update={"rating": "bt", "interval": "sandwich"})
    return listed(category_board(counts_of(stated.pairs), plain), options.unlisted)


def _untold(options: BoardOptions) -> dict[str, Any]:
    """Fields of a category that counts do not tell."""
    away: dict[str, Any] = {"how": True, "coefficients": True, "raw": True, "notes": True}
    if options.style_control:
        away |= dict.fromkeys(("neighbours", "critical_value", "components"), True)
    if options.rating == "elo":
        away |= dict.fromkeys(("neighbours", "critical_value", "components", "top_flip"), True)
        away["models"] = {"__all__": set(_RATINGS)}
    elif options.interval == "clustered":
        away |= dict.fromkeys(("neighbours", "critical_value"), True)
        away["models"] = {"__all__": set(_ERRORS)}
    return away


def _shown(category: CategoryBoard, options: BoardOptions) -> dict[str, Any]:
    """What counts tell of it; its models are those that are not controlled for style."""
    plain = category if category.raw is None else category.model_copy(update={"models": category.raw})
    content = plain.model_dump(mode="json", exclude=_untold(options))
    if options.rating == "elo":  # which place each has, the order of the votes tells
        content["models"].sort(key=itemgetter("name"))
    return content


def _variants(board: Board, stated: CategoryBoard, options: BoardOptions) -> Sequence[Any]:
    rows = category_board(counts_of(stated.pairs), options, details=False).models
    votes = {row.name: row.votes for row in rows}
    return variant_rows(rows, votes, board.facts, options.unlisted, options.confidence)


def _dumped(rows: Iterable[Any]) -> list[Any]:
    return [row.model_dump(mode="json") for row in rows]


def _sealed(board: Board) -> Iterator[Difference]:
    if board.digest != board.own_digest:
        yield Difference("digest", board.digest, board.own_digest)


def _differences(where: str, stated: Any, computed: Any) -> Iterator[Difference]:
    if stated == computed:  # thousands of pairs at once
        return
    if isinstance(stated, dict) and isinstance(computed, dict):
        for key in [*stated, *(key for key in computed if key not in stated)]:
            inside = f"{where}.{key}" if where else key
            yield from _differences(inside, stated.get(key), computed.get(key))
    elif isinstance(stated, list) and isinstance(computed, list):
        if len(stated) != len(computed):
            yield Difference(f"{where}: how many", len(stated), len(computed))
        for at, (one, other) in enumerate(zip(stated, computed, strict=False)):
            yield from _differences(f"{where}[{_called(one, at)}]", one, other)
    elif not _is_same(stated, computed):
        yield Difference(where, stated, computed)


def _called(row: Any, at: int) -> str:
    """A row by its name, if it has one."""
    names = ("name", "model_a", "model_b", "better", "worse", "family", "rule")
    said = [str(row[name]) for name in names if name in row] if isinstance(row, dict) else []
    return " / ".join(said) or str(at)


def _is_same(stated: Any, computed: Any) -> bool:
    if isinstance(stated, bool) or isinstance(computed, bool):
        return stated is computed
    if isinstance(stated, int) and isinstance(computed, int):
        return abs(stated - computed) <= _LARGE_COUNTS * abs(computed)
    if isinstance(stated, int | float) and isinstance(computed, int | float):
        return abs(stated - computed) <= TOLERANCE * 1.001
    return bool(stated == computed)
