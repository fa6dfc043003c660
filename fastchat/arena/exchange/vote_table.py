"""Votes as a table for analysis: a row a vote, in the log's order, as JSON lines or Parquet.

    model_a, model_b, winner (model_a | model_b | tie | tie (bothbad)), tstamp, anony, judge, turn, …, conv_a, conv_b

`judge` is a hash of the voter under a key of this table; by it, tables made with different keys cannot be joined.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from fastchat.access.secret import keyed_hash
from fastchat.arena.exchange.assembling import POLICY
from fastchat.arena.exchange.judged import JudgedTurn, judged_turns, voted_at
from fastchat.arena.exchange.outputs import whole_or_nothing
from fastchat.arena.records import Mode, Outcome, Side, text_of
from fastchat.arena.store.reading import Range, VotedConversation
from fastchat.core.errors import MissingPackage

if TYPE_CHECKING:
    import polars

VoteRow: TypeAlias = dict[str, Any]  # Any: JSON

WINNERS = {
    Outcome.LEFT: "model_a",
    Outcome.RIGHT: "model_b",
    Outcome.TIE: "tie",
    Outcome.BOTH_BAD: "tie (bothbad)",
}
_ROW_GROUP = 5_000


@dataclass(frozen=True, slots=True)
class TableOptions:
    key: bytes
    with_text: bool = True


def vote_rows(
    votes: Iterable[VotedConversation], options: TableOptions, wanted: Range | None = None
) -> Iterator[VoteRow]:
    """Those that were clicked in that time: of imported votes, that is not the time of the log."""
    return (vote_row(voted, options) for voted in votes if wanted is None or wanted.holds(voted_at(voted)))


def vote_row(voted: VotedConversation, options: TableOptions) -> VoteRow:
    leaf, transcript = voted.leaf, voted.transcript
    left, right = (judged_turns(voted, side) for side in (Side.LEFT, Side.RIGHT))
    return {
        "vote_id": leaf.vote_id,
        "arena": leaf.arena,
        "model_a": leaf.model_a,
        "model_b": leaf.model_b,
        "winner": WINNERS[leaf.outcome],
        "tstamp": voted_at(voted),
        "mode": leaf.mode.value,
        "anony": leaf.mode is Mode.BATTLE,
        "probability": None if leaf.policy == POLICY else leaf.probability,
        "policy": leaf.policy,
        "judge": keyed_hash(options.key, "judge", voted.voter_id) if voted.voter_id else None,
        "turn": len(left) or None,
        "language": transcript.language if transcript else None,
        "category": transcript.category if transcript else None,
        "marks": sorted(voted.marks | (transcript.marks if transcript else frozenset())),
        "reasons": sorted(voted.reasons),
        "dwell_s": voted.dwell_s,
        **_figures("a", left),
        **_figures("b", right),
        "conv_a": _said(left) if options.with_text and left else None,
        "conv_b": _said(right) if options.with_text and right else None,
    }


def _figures(side: str, turns: Sequence[JudgedTurn]) -> VoteRow:
    """Tokens of all answers; the rest of the last one, which was read last."""
    tokens = [turn.answer.completion_tokens for turn in turns]
    known = [number for number in tokens if number is not None]
    last = turns[-1].answer if turns else None
    return {
        f"tokens_{side}": sum(known) if known and len(known) == len(tokens) else None,
        f"first_token_s_{side}": last.first_token_s if last else None,
        f"tokens_per_s_{side}": last.tokens_per_s if last else None,
    }


def _said(turns: Sequence[JudgedTurn]) -> list[dict[str, str]]:
    return [
        message
        for turn in turns
        for message in (
            {"role": "user", "content": text_of(turn.question)},
            {"role": "assistant", "content": turn.answer.text},
        )
    ]


def write_jsonl(rows: Iterable[VoteRow], file: BinaryIO) -> int:
    """How many there were."""
    count = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
        count += 1
    return count


def write_table(rows: Iterable[VoteRow], target: Path, *, is_parquet: bool) -> int:
    """How many rows. Nothing is overwritten.

    Raises:
        FileExistsError: there is a file.
        MissingPackage: polars is not installed.
    """
    if is_parquet:
        require_polars()
    with whole_or_nothing(target) as file:
        if not is_parquet:
            return write_jsonl(rows, file)
        with tempfile.TemporaryDirectory(prefix="fastchat-export-") as scratch:
            lines = Path(scratch) / "votes.jsonl"
            with lines.open("wb") as draft:
                count = write_jsonl(rows, draft)
            parquet_from_jsonl(lines, target)
    return count


def parquet_from_jsonl(lines: Path, target: Path) -> None:
    """A piece at a time, so a table of any length; the same lines give the same bytes.

    Raises:
        MissingPackage: polars is not installed.
    """
    polars = require_polars()
    table = polars.scan_ndjson(lines, schema=_schema())
    table.sink_parquet(target, compression="zstd", row_group_size=_ROW_GROUP, maintain_order=True)


def require_polars() -> Any:
    """Any: the module itself."""
    if find_spec("polars") is None:
        raise MissingPackage("polars", "release", "Parquet")
    import polars

    return polars


def _schema() -> "polars.Schema":
    import polars as pl

    messages = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    figures = {
        f"{name}_{side}": kind
        for side in "ab"
        for name, kind in (("tokens", pl.Int64), ("first_token_s", pl.Float64), ("tokens_per_s", pl.Float64))
    }
    return pl.Schema(
        {
            "vote_id": pl.String,
            "arena": pl.String,
            "model_a": pl.String,
            "model_b": pl.String,
            "winner": pl.String,
            "tstamp": pl.Float64,
            "mode": pl.String,
            "anony": pl.Boolean,
            "probability": pl.Float64,
            "policy": pl.String,
            "judge": pl.String,
            "turn": pl.Int64,
            "language": pl.String,
            "category": pl.String,
            "marks": pl.List(pl.String),
            "reasons": pl.List(pl.String),
            "dwell_s": pl.Float64,
            **figures,
            "conv_a": messages,
            "conv_b": messages,
        }
    )
