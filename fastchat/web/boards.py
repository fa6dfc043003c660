"""Tables from FastChat's files: what stands in which column, in which order, and what is said above."""

from collections.abc import Sequence
from typing import NamedTuple

from fastchat.web.result_files import Category, Rating, Results
from fastchat.web.tables import NOTHING, Cell, Column, Table, number, spread
from fastchat.web.texts import Texts

RANKED_ABOVE = 300  # votes in a category; FastChat's rule


class Page(NamedTuple):
    """What is shown of one table."""

    table: Table
    notes: Sequence[str] = ()


def arena_board(category: Category, results: Results, texts: Texts) -> Page:
    columns = [
        Column(texts("model")), Column(texts("board_rank"), True), Column(texts("board_rating"), True),
        Column(interval_title(texts)), Column(texts("board_votes"), True), *_fact_columns(texts),
    ]  # fmt: skip
    ranks = ranks_of(category.ratings)
    ratings = sorted(category.ratings, key=lambda one: (ranks.get(one.model, len(ranks) + 1), -one.rating, one.model))
    rows = [
        [
            _name(one.model, results),
            NOTHING if one.model not in ranks else Cell(str(ranks[one.model]), ranks[one.model]),
            number(one.rating, ".0f"),
            spread(one.rating, one.low, one.high, ".0f"),
            number(one.battles, ",.0f"),
            *_fact_cells(one.model, results),
        ]
        for one in ratings
    ]
    notes = [texts("board_arena_is", least=RANKED_ABOVE)]
    if category.updated:
        notes.append(texts("board_updated", time=category.updated))
    dimmed = frozenset(at for at, one in enumerate(ratings) if one.model not in ranks)
    title = f"{texts('board_arena')}: {category_title(category.key)}"
    return Page(Table(title, columns, rows, dimmed), notes)


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


def full_board(results: Results, texts: Texts) -> Page:
    columns = [
        Column(texts("model")), Column(texts("board_rating"), True), Column(texts("board_hard"), True),
        Column("MT-Bench", True), Column("MMLU", True), *_fact_columns(texts),
    ]  # fmt: skip
    overall = next((one for one in results.categories if one.id == "text.full"), None)
    ratings = {one.model: one.rating for one in overall.ratings} if overall else {}
    hard = {one.model: one.score for one in results.hard or ()}
    facts = list((results.facts or {}).values())
    facts.sort(key=lambda one: (-ratings.get(one.key, float("-inf")), one.name.lower()))
    rows = [
        [
            _name(one.key, results),
            number(ratings.get(one.key), ".0f"),
            number(hard.get(one.key), ".1f"),
            number(one.mt_bench, ".2f"),
            number(None if one.mmlu is None else one.mmlu * 100, ".1f"),
            *_fact_cells(one.key, results),
        ]
        for one in facts
    ]
    return Page(Table(texts("board_full"), columns, rows), [texts("board_full_is")])


def hard_board(results: Results, texts: Texts) -> Page:
    columns = [
        Column(texts("model")), Column(texts("board_score"), True), Column(interval_title(texts)),
        Column(texts("board_tokens"), True), *_fact_columns(texts)[:2], Column(texts("board_date")),
    ]  # fmt: skip
    scores = sorted(results.hard or (), key=lambda one: -(one.score or 0))
    rows = [
        [
            _name(one.model, results),
            number(one.score, ".1f"),
            spread(one.score, one.low, one.high, ".1f"),
            number(one.tokens, ".0f"),
            *_fact_cells(one.model, results)[:2],
            Cell(one.date or "–"),
        ]
        for one in scores
    ]
    return Page(Table(texts("board_hard"), columns, rows), [texts("board_hard_is")])


def interval_title(texts: Texts, confidence: float = 0.95) -> str:
    return texts("board_interval", level=f"{confidence * 100:g}")


def _fact_columns(texts: Texts) -> Sequence[Column]:
    return [Column(texts(f"board_{fact}")) for fact in _FACTS]


_FACTS = ("organization", "license", "cutoff")


def _fact_cells(model: str, results: Results) -> Sequence[Cell]:
    facts = results.facts_of(model)
    if facts is None:
        return [Cell("–")] * len(_FACTS)
    return [Cell(text or "–") for text in (facts.organization, facts.license, facts.cutoff)]


def _name(model: str, results: Results) -> Cell:
    facts = results.facts_of(model)
    return Cell(facts.name or model, link=facts.safe_link) if facts else Cell(model)


def category_title(key: str) -> str:
    """Files name their categories in English."""
    bare = key.removesuffix("_style_control")
    title = _CATEGORIES.get(bare) or bare.replace("_", " ").replace("-", " ").capitalize()
    return f"{title}, style controlled" if bare != key else title


_CATEGORIES = {
    "full": "Overall", "dedup": "Without duplicates", "if": "Instruction following", "multiturn": "Multi-turn",
    "hard_6": "Hard prompts", "hard_english_6": "Hard prompts (English)", "long_user": "Longer queries",
    "no_tie": "Without ties", "no_short": "Without short queries", "no_refusal": "Without refusals",
    "overall_limit_5_user_vote": "At most 5 votes a user", "full_old": "Overall, with duplicates", "ocr": "OCR",
    "creative_writing_vision": "Creative writing", "entity_recognition": "Entity recognition",
    "is_preset": "Preset images",
}  # fmt: skip
