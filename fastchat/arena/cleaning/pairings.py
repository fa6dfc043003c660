"""Rules that go by who met whom, and how: names, the blindness of the battle, marks, and votes given again."""

from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fastchat.arena.cleaning.rules import Rule
from fastchat.arena.leaderboard.votes import (
    ANONYMOUS,
    MARKS,
    MODEL_A,
    MODEL_B,
    QUESTION,
    TIME,
    VOTER,
    WEIGHT,
    VoteTable,
)
from fastchat.arena.records import Mark

if TYPE_CHECKING:
    import polars as pl

_ROW = "_row"


def missing_names() -> Rule:
    def drops(table: VoteTable) -> "pl.Series":
        import polars as pl

        nameless = pl.any_horizontal(pl.col(MODEL_A, MODEL_B).is_null())
        return table.frame.select(nameless | _is_one_of(table, lambda name: not name.strip())).to_series()

    return Rule("missing names", "one of the models has no name", drops)


def self_play() -> Rule:
    return Rule("self-play", "a model met itself", lambda table: table.frame[MODEL_A] == table.frame[MODEL_B])


def weightless() -> Rule:
    return Rule("no weight", "its weight is 0", lambda table: table.frame[WEIGHT] == 0, needs=(WEIGHT,))


def anonymous_only() -> Rule:
    """Also without the votes of which it is not known."""
    return Rule(
        "not anonymous",
        "the names were known to the voter",
        lambda table: ~table.frame[ANONYMOUS].fill_null(False),
        needs=(ANONYMOUS,),
    )


def excluded_models(names: Collection[str]) -> Rule:
    """Names or patterns."""

    def drops(table: VoteTable) -> "pl.Series":
        excluded = _is_one_of(table, lambda name: any(fnmatchcase(name, one) for one in names))
        return table.frame.select(excluded).to_series()

    return Rule("excluded models", f"one of the models is {' or '.join(sorted(names))}", drops)


def repeated_votes() -> Rule:
    """On the same conversation only the first counts: with it the names were told, and clicks came twice.

    It has to be the first rule, or a second vote would stand in for a first one that another rule dropped.
    """

    def drops(table: VoteTable) -> "pl.Series":
        import polars as pl

        same = [column for column in (QUESTION, MODEL_A, MODEL_B, VOTER) if table.has(column)]
        votes = table.frame.select(*same, *([TIME] if table.has(TIME) else [])).with_row_index(_ROW)
        if table.has(TIME):
            votes = votes.sort(TIME, maintain_order=True, nulls_last=True)
        first = votes.unique(same, keep="first")[_ROW].to_numpy()
        again = pl.repeat(True, len(table), eager=True).scatter(first, False)
        return again & table.frame[QUESTION].is_not_null()

    return Rule("repeated", "the conversation had its vote already", drops, needs=(QUESTION,))


def marked(mark: Mark) -> Rule:
    """By what our arena found out when the vote was cast."""

    def drops(table: VoteTable) -> "pl.Series":
        import polars as pl

        return table.frame.select(pl.col(MARKS).list.contains(mark.value)).to_series()

    return Rule(f"marked {mark.value.replace('_', ' ')}", _REASONS[mark], drops, needs=(MARKS,))


_REASONS = {
    Mark.NAMES_ITSELF: "an answer said which model wrote it",
    Mark.ASKS_FOR_IDENTITY: "the voter asked which model answers",
    Mark.FREQUENT_PROMPT: "the same was asked again and again",
    Mark.REPEATED_PROMPT: "the voter had asked the same before",
    Mark.FLAGGED_PROMPT: "a moderator flagged the question",
    Mark.FLAGGED_ANSWER: "a moderator flagged an answer",
    Mark.UNMODERATED: "the moderator failed",
    Mark.REGENERATED: "an answer was not the first one",
    Mark.EDITED: "questions were taken back after their answers had been seen",
    Mark.UNFINISHED: "an earlier answer failed or was stopped",
    Mark.PRESET_PROMPT: "the question was one of the arena's own",
}


def _is_one_of(table: VoteTable, wanted: Callable[[str], bool]) -> "pl.Expr":
    import polars as pl

    names = [name for name in table.models if wanted(name)]
    return pl.any_horizontal(pl.col(MODEL_A, MODEL_B).is_in(names)) if names else pl.repeat(False, pl.len())
