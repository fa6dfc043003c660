"""FastChat's logs ─► clean battles, in the rows that FastChat's own tools read and write.

{"question_id": "…", "model_a": "gpt-4-0613", "model_b": "vicuna-13b", "winner": "tie (bothbad)",
 "judge": "arena_user_0", "conversation_a": [{"role": "user", "content": "hello", "num_tokens": 1}, …],
 "conversation_b": […], "turn": 1, "anony": true, "language": "English", "tstamp": 1700042431.4242}
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastchat.arena.cleaning.choosing import CleaningOptions, rules_for
from fastchat.arena.cleaning.quarantine import SuspectedVoter, anomalies_of, set_aside, suspected
from fastchat.arena.cleaning.renames import Rename, renamed
from fastchat.arena.cleaning.rules import clean, of_its_models
from fastchat.arena.exchange.vote_table import WINNERS
from fastchat.arena.leaderboard.board import CleaningStep
from fastchat.arena.leaderboard.categories.conversations import tokens
from fastchat.arena.leaderboard.categories.languages import detect, name_of
from fastchat.arena.leaderboard.fastchat_votes import ADDRESS, CONTRADICTING, MALFORMED, NAMELESS, TWICE, read_logs
from fastchat.arena.leaderboard.votes import (
    ANONYMOUS,
    CONV_A,
    CONV_B,
    MODEL_A,
    MODEL_B,
    OUTCOME,
    QUESTION,
    TIME,
    TURNS,
    VOTER,
    VoteTable,
)
from fastchat.arena.records import Outcome
from fastchat.core.errors import MissingPackage

Battle = dict[str, Any]  # Any: JSON

_TALKS = (CONV_A, CONV_B)
_NUMBERED = "numbered"  # voters as they are called where addresses are hidden
_WINNERS = [WINNERS[outcome] for outcome in Outcome]  # in the order of the ranking's outcomes
# What FastChat calls the votes that a rule, or the reader of logs, leaves out.
_COUNTED_AS = {
    "repeated": "repeated",
    "missing names": "invalid",
    "self-play": "self_play",
    "missing answers": "none_msg",
    "unfinished": "unfinished",
    "errors": "error",
    "names itself": "leaked_identity",
    "identity words": "leaked_identity",
    "excluded models": "exclude_model",
    "banned": "banned",
    TWICE: "repeated",
    NAMELESS: "invalid",
    CONTRADICTING: "invalid",
}
_COUNTS = ("anony", "invalid", "leaked_identity", "banned", "error", "unfinished", "none_msg", "exclude_model")


@dataclass(frozen=True, slots=True, eq=False)
class CleanBattles:
    table: VoteTable  # by time
    quarantined: VoteTable  # votes of voters who were set aside; empty if nobody asked for that
    suspects: tuple[SuspectedVoter, ...]
    steps: tuple[CleaningStep, ...]
    votes: int  # that were read
    counts: dict[str, int]  # FastChat's counters, and ours
    votes_by_voter: Counter[str]  # before cleaning, without the banned


def clean_battles(
    files: Sequence[Path],
    options: CleaningOptions,
    names: Sequence[Rename],
    *,
    hide_addresses: bool = False,
    false_alarms: float | None = None,
) -> CleanBattles:
    """
    Args:
        false_alarms: set voters aside who vote unlike others, with this probability for one who does not.

    Raises:
        MissingPackage: polars is not installed.
    """
    if find_spec("polars") is None:
        raise MissingPackage("polars", "leaderboard", "Cleaning votes")
    import polars as pl

    logged = read_logs(files, {*_TALKS, ADDRESS})
    left_out = Counter({why: number for why, number in logged.left_out.items() if why != MALFORMED})
    address = pl.coalesce("arena_user_" + pl.col(ADDRESS), pl.col(VOTER))
    by_address = logged.frame.with_columns(address.alias(VOTER), pl.col(VOTER).alias(_NUMBERED))
    models = sorted({*by_address[MODEL_A], *by_address[MODEL_B]})
    given = VoteTable(by_address.with_columns(pl.col(MODEL_A, MODEL_B).cast(pl.Enum(models))))
    cleaned = clean(renamed(given, names), rules_for(options))
    table = cleaned.table
    voters = pl.col(_NUMBERED) if hide_addresses else pl.col(VOTER)
    banned = {*options.banned_voters, *(f"arena_user_{voter}" for voter in options.banned_voters)}
    counted = by_address.filter(~pl.col(VOTER).is_in(list(banned)).fill_null(False)).select(voters.alias(VOTER))[VOTER]
    table = replace(table, frame=table.frame.with_columns(voters.alias(VOTER)).drop(_NUMBERED, ADDRESS))
    kept, quarantined, suspects = table, replace(table, frame=table.frame.clear()), list[SuspectedVoter]()
    if false_alarms is not None and len(table):
        anomalies = anomalies_of(table, level=false_alarms)
        suspects = suspected(table, anomalies)
        kept, quarantined = map(of_its_models, set_aside(table, anomalies))
    return CleanBattles(
        table=kept,
        quarantined=quarantined,
        suspects=tuple(suspects),
        steps=cleaned.steps,
        votes=len(given) + left_out.total(),
        counts=_counts(table, cleaned.steps, left_out),
        votes_by_voter=Counter(counted.drop_nulls().to_list()),
    )


def _counts(table: VoteTable, steps: Iterable[CleaningStep], left_out: Counter[str]) -> dict[str, int]:
    counts = Counter({"anony": int(table.frame[ANONYMOUS].sum())})
    for step in steps:
        counts[_COUNTED_AS.get(step.rule, step.rule)] += step.dropped
    for reason, number in left_out.items():
        counts[_COUNTED_AS[reason]] += number
    return dict.fromkeys(_COUNTS, 0) | {name: number for name, number in counts.items() if number or name in _COUNTS}


def rows(table: VoteTable, *, with_text: bool) -> Iterator[Battle]:
    """Without text also without the conversation's id, as FastChat has it."""
    frame = table.frame
    languages = _languages(table)
    talks = [_counted(table, side) for side in _TALKS]
    for number, row in enumerate(frame.drop(_TALKS).iter_rows(named=True)):
        battle = {
            "question_id": row[QUESTION],
            MODEL_A: row[MODEL_A],
            MODEL_B: row[MODEL_B],
            "winner": _WINNERS[row[OUTCOME]],
            "judge": row[VOTER],
            "conversation_a": talks[0][number],
            "conversation_b": talks[1][number],
            "turn": row[TURNS],
            "anony": row[ANONYMOUS],
            "language": languages[number],
            "tstamp": row[TIME],
        }
        if not with_text:
            battle = {name: battle[name] for name in battle if name not in _TEXTUAL}
        yield battle


_TEXTUAL = ("question_id", "conversation_a", "conversation_b")


def _languages(table: VoteTable) -> list[str]:
    """English names, of the first question; FastChat's word for those that are not known."""
    if find_spec("lingua") is None:
        return ["unknown"] * len(table)
    asked = [talk[0]["content"] if talk else "" for talk in table.frame[CONV_A].to_list()]
    return ["unknown" if code is None else name_of(code) for code in detect(asked)]


def _counted(table: VoteTable, side: str) -> list[list[Battle]]:
    """Messages with the number of their tokens, about: FastChat counted those of one model for all models."""
    import polars as pl

    talks = table.frame[side].to_list()
    texts = pl.Series([message["content"] for talk in talks for message in talk], dtype=pl.String)
    numbers = iter(tokens(texts).to_list())
    return [[{**message, "num_tokens": next(numbers)} for message in talk] for talk in talks]
