"""A rule says which votes to leave out; `clean` applies one after the other and writes down what each dropped."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastchat.arena.leaderboard.board import CleaningStep
from fastchat.arena.leaderboard.votes import MODEL_A, MODEL_B, VoteTable
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    why: str  # said of a vote that it drops
    drops: Callable[[VoteTable], "pl.Series"]  # of Boolean, a value a vote; null: it cannot be told, the vote stays
    needs: tuple[str, ...] = ()  # columns without which nothing can be told of any vote
    is_required: bool = False  # somebody asked for it, so it has to be possible


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    table: VoteTable  # of the models that are left
    steps: tuple[CleaningStep, ...]  # one a rule, also of those that found nothing or could not be applied


def clean(table: VoteTable, rules: Iterable[Rule]) -> Cleaned:
    """
    Raises:
        SetupError: a rule that was asked for needs a column that is not there.
    """
    steps = []
    for rule in rules:
        given, why = len(table), rule.why
        if missing := [column for column in rule.needs if not table.has(column)]:
            why = _not_applied(rule, missing)
        else:
            table = table.where(~rule.drops(table).fill_null(False))
        steps.append(CleaningStep(rule=rule.name, why=why, given=given, dropped=given - len(table)))
    return Cleaned(of_its_models(table), tuple(steps))


def required(rule: Rule) -> Rule:
    return replace(rule, is_required=True)


def of_its_models(table: VoteTable) -> VoteTable:
    """Without the names of models that no vote is left of."""
    import polars as pl

    present = {name for side in (MODEL_A, MODEL_B) for name in table.frame[side].unique().drop_nulls().to_list()}
    if len(present) == len(table.models):
        return table
    names = pl.Enum(sorted(present))
    sides = pl.col(MODEL_A, MODEL_B).cast(pl.String).cast(names)
    return replace(table, frame=table.frame.with_columns(sides))


def _not_applied(rule: Rule, missing: list[str]) -> str:
    columns = " and ".join(missing)
    if rule.is_required:
        raise SetupError(
            f"To leave out what is {rule.name!r}, the votes need the column {columns}, which they do not have. Give "
            "votes that have it, or do not ask for this."
        )
    return f"not applied: the votes have no column {columns}"
