"""The leaderboard's tables, as values: what stands in which column, in which order, and what is said below."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from fastchat.arena.standings import PRELIMINARY_BELOW, Standing, Standings
from fastchat.web.result_files import Category, Rating, Results
from fastchat.web.texts import Texts

RANKED_ABOVE = 300  # votes in a category; FastChat's rule


class Column(NamedTuple):
    title: str  # key of a text
    is_number: bool = False


class Cell(NamedTuple):
    text: str
    sort: float | None = None  # None: by its text
    link: str | None = None
    extra: str = ""  # HTML of ours behind the text


@dataclass(frozen=True, slots=True)
class Board:
    """A table as it is shown; the first column names its row."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    dimmed: frozenset[int] = frozenset()  # rows of which little is known


_NOTHING = Cell("–", float("-inf"))


def live_board(standings: Standings, texts: Texts) -> Board:
    columns = [
        Column("model"), Column("board_score", True), Column("board_interval"), Column("board_battles", True),
        Column("board_wins", True), Column("board_losses", True), Column("board_ties", True),
        Column("board_both_bad", True), Column("board_win_rate", True),
    ]  # fmt: skip
    notes = [
        texts("board_live_is", votes=f"{standings.votes:,}"),
        texts("board_live_is_not", least=PRELIMINARY_BELOW),
    ]
    if standings.left_out:
        notes.append(texts("board_left_out", count=f"{standings.left_out:,}"))
    if standings.last_vote_at is not None:
        last = datetime.fromtimestamp(standings.last_vote_at, UTC)
        notes.append(texts("board_last_vote", time=f"{last:%Y-%m-%d %H:%M} UTC"))
    rows = [_live_row(row, texts) for row in standings.rows]
    dimmed = frozenset(at for at, row in enumerate(standings.rows) if row.is_preliminary)
    return Board(texts("board_live"), columns, rows, notes, dimmed)


def _live_row(row: Standing, texts: Texts) -> Sequence[Cell]:
    low, high = row.interval
    note = f' <span class="fc-board-tag">{texts.html("board_preliminary")}</span>' if row.is_preliminary else ""
    counts = [row.battles, row.wins, row.losses, row.ties, row.both_bad]
    return [
        Cell(row.model, extra=note),
        Cell(f"{row.score:.1%}", row.score),
        Cell(f"{low:.1%} – {high:.1%}", low, extra=_bar(low, row.score, high)),
        *(Cell(f"{count:,}", count) for count in counts),
        _NOTHING if row.win_rate is None else Cell(f"{row.win_rate:.1%}", row.win_rate),
    ]


def _bar(low: float, middle: float, high: float) -> str:
    """The interval as a line, for eyes only; its numbers stand beside it."""
    style = f"--low:{low:.4f};--mid:{middle:.4f};--high:{high:.4f}"
    return f'<span class="fc-board-bar" style="{style}" aria-hidden="true"></span>'


def arena_board(category: Category, results: Results, texts: Texts) -> Board:
    columns = [
        Column("model"), Column("board_rank", True), Column("board_rating", True), Column("board_interval"),
        Column("board_votes", True), *_FACT_COLUMNS,
    ]  # fmt: skip
    ranks = ranks_of(category.ratings)
    ratings = sorted(category.ratings, key=lambda one: (ranks.get(one.model, len(ranks) + 1), -one.rating, one.model))
    rows = [
        [
            _name(one.model, results),
            _NOTHING if one.model not in ranks else Cell(str(ranks[one.model]), ranks[one.model]),
            _number(one.rating, ".0f"),
            _spread(one.rating, one.low, one.high, ".0f"),
            _number(one.battles, ",.0f"),
            *_fact_cells(one.model, results),
        ]
        for one in ratings
    ]
    notes = [texts("board_arena_is", least=RANKED_ABOVE)]
    if category.updated:
        notes.append(texts("board_updated", time=category.updated))
    dimmed = frozenset(at for at, one in enumerate(ratings) if one.model not in ranks)
    return Board(f"{texts('board_arena')}: {category_title(category)}", columns, rows, notes, dimmed)


def ranks_of(ratings: Sequence[Rating]) -> dict[str, int]:
    """1 + how many models are better for sure: their interval lies above the whole of this one's.

    Of those with votes enough; nobody is ranked where nobody knows how many there were.
    """
    ranked = [one for one in ratings if one.battles is not None and one.battles > RANKED_ABOVE]

    def low(one: Rating) -> float:
        return one.rating if one.low is None else one.low

    def high(one: Rating) -> float:
        return one.rating if one.high is None else one.high

    return {one.model: 1 + sum(low(other) > high(one) for other in ranked) for one in ranked}


def full_board(results: Results, texts: Texts) -> Board:
    columns = [
        Column("model"), Column("board_rating", True), Column("board_hard", True), Column("MT-Bench", True),
        Column("MMLU", True), *_FACT_COLUMNS,
    ]  # fmt: skip
    overall = next((one for one in results.categories if one.id == "text.full"), None)
    ratings = {one.model: one.rating for one in overall.ratings} if overall else {}
    hard = {one.model: one.score for one in results.hard or ()}
    facts = list((results.facts or {}).values())
    facts.sort(key=lambda one: (-ratings.get(one.key, float("-inf")), one.name.lower()))
    rows = [
        [
            _name(one.key, results),
            _number(ratings.get(one.key), ".0f"),
            _number(hard.get(one.key), ".1f"),
            _number(one.mt_bench, ".2f"),
            _number(None if one.mmlu is None else one.mmlu * 100, ".1f"),
            *_fact_cells(one.key, results),
        ]
        for one in facts
    ]
    return Board(texts("board_full"), columns, rows, [texts("board_full_is")])


def hard_board(results: Results, texts: Texts) -> Board:
    columns = [
        Column("model"), Column("board_score", True), Column("board_interval"), Column("board_tokens", True),
        *_FACT_COLUMNS[:2], Column("board_date"),
    ]  # fmt: skip
    scores = sorted(results.hard or (), key=lambda one: -(one.score or 0))
    rows = [
        [
            _name(one.model, results),
            _number(one.score, ".1f"),
            _spread(one.score, one.low, one.high, ".1f"),
            _number(one.tokens, ".0f"),
            *_fact_cells(one.model, results)[:2],
            Cell(one.date or "–"),
        ]
        for one in scores
    ]
    return Board(texts("board_hard"), columns, rows, [texts("board_hard_is")])


_FACT_COLUMNS = (Column("board_organization"), Column("board_license"), Column("board_cutoff"))


def _fact_cells(model: str, results: Results) -> Sequence[Cell]:
    facts = results.facts_of(model)
    if facts is None:
        return [Cell("–")] * len(_FACT_COLUMNS)
    return [Cell(text or "–") for text in (facts.organization, facts.license, facts.cutoff)]


def _name(model: str, results: Results) -> Cell:
    facts = results.facts_of(model)
    return Cell(facts.name or model, link=facts.safe_link) if facts else Cell(model)


def _number(value: float | None, form: str) -> Cell:
    return _NOTHING if value is None else Cell(format(value, form), value)


def _spread(middle: float | None, low: float | None, high: float | None, form: str) -> Cell:
    if middle is None or low is None or high is None:
        return _NOTHING
    return Cell(f"+{high - middle:{form}} / −{middle - low:{form}}", low)


def category_title(category: Category) -> str:
    """Files name their categories in English."""
    key = category.key.removesuffix("_style_control")
    title = _CATEGORIES.get(key) or key.replace("_", " ").capitalize()
    return f"{title}, style controlled" if key != category.key else title


_CATEGORIES = {
    "full": "Overall", "dedup": "Without duplicates", "if": "Instruction following", "multiturn": "Multi-turn",
    "hard_6": "Hard prompts", "hard_english_6": "Hard prompts (English)", "long_user": "Longer queries",
    "no_tie": "Without ties", "no_short": "Without short queries", "no_refusal": "Without refusals",
    "overall_limit_5_user_vote": "At most 5 votes a user", "full_old": "Overall, with duplicates", "ocr": "OCR",
    "creative_writing_vision": "Creative writing", "entity_recognition": "Entity recognition",
    "is_preset": "Preset images",
}  # fmt: skip
