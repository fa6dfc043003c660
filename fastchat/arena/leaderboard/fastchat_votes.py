"""Votes out of FastChat's log files: a line a click, with both conversations as they stood then.

    {"tstamp": …, "type": "leftvote", "models": ["", ""], "states": [{"model_name": …, "messages": …}, {…}], "ip": "…"}

Two hidden names mean that the vote was cast blind. Addresses become `arena_user_0`, `arena_user_1`, … as in FastChat's
clean battles, in the order in which they first voted.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from fastchat.arena.exchange.assembling import question_parts
from fastchat.arena.exchange.fastchat_lines import Line
from fastchat.arena.exchange.log_files import Malformed, parse
from fastchat.arena.leaderboard.conversations import talk_kind
from fastchat.arena.leaderboard.files import lines
from fastchat.arena.leaderboard.vote_columns import outcome_of
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
)
from fastchat.arena.records import text_of

if TYPE_CHECKING:
    import polars as pl

ADDRESS = "ip"  # a column only for who needs it
_HIDDEN = ("", "Model A", "Model B")
_REVEALED = ("### Model A: ", "### Model B: ")

MALFORMED = "lines that are no lines of FastChat's"
TWICE = "votes that were there twice"
NAMELESS = "votes on models without a name"
CONTRADICTING = "votes whose models are called one thing on the page and another in the conversation"


_Row: TypeAlias = dict[str, Any]  # Any: JSON


class LoggedVotes(NamedTuple):
    frame: "pl.DataFrame"  # by time
    left_out: Counter[str]  # why → how many


def read_logs(files: Iterable[Path], needs: Collection[str] = ()) -> LoggedVotes:
    """All votes of these files. Lines that are broken, as of a server that fell, are counted and left out."""
    import polars as pl

    left_out: Counter[str] = Counter()
    rows: dict[tuple[Any, ...], _Row] = {}
    for file in files:
        for line in _vote_lines(file, left_out):
            # The same click has the same key, wherever its line was copied to.
            key = line["type"], line["tstamp"], *(state["conv_id"] for state in line["states"])
            if key in rows:
                left_out[TWICE] += 1
            elif (models := _models(line, left_out)) is not None:
                rows[key] = _row(line, models, needs)
    ordered = sorted(rows.values(), key=itemgetter(TIME))
    voters: dict[str, str] = {}
    for row in ordered:
        if row[ADDRESS]:
            row[VOTER] = voters.setdefault(str(row[ADDRESS]), f"arena_user_{len(voters)}")
    talk = talk_kind()
    kinds: dict[str, Any] = {  # Any: types and classes of types
        MODEL_A: pl.String,
        MODEL_B: pl.String,
        OUTCOME: pl.Int8,
        VOTER: pl.String,
        TIME: pl.Float64,
        ANONYMOUS: pl.Boolean,
        TURNS: pl.Int64,
        QUESTION: pl.String,
        **{name: kind for name, kind in ((CONV_A, talk), (CONV_B, talk), (ADDRESS, pl.String)) if name in needs},
    }
    columns = {name: [row.get(name) for row in ordered] for name in kinds}
    return LoggedVotes(pl.DataFrame(columns, schema=kinds), +left_out)


def _vote_lines(file: Path, left_out: Counter[str]) -> Iterator[Line]:
    for _, data in lines(file):
        if b'vote"' not in data:  # most lines are answers: long, and nothing to us
            continue
        try:
            line = parse(data)
        except Malformed:
            left_out[MALFORMED] += 1
            continue
        if "states" in line and outcome_of(line["type"]) is not None:
            yield line


class _Models(NamedTuple):
    left: str
    right: str
    were_hidden: bool


def _models(line: Line, left_out: Counter[str]) -> _Models | None:
    shown = [_plain(name) for name in line["models"]]
    names = [str(state.get("model_name") or name) for state, name in zip(line["states"], shown, strict=True)]
    were_hidden = shown[0] in _HIDDEN
    if (shown[0] == "") != (shown[1] == "") or any(name in _HIDDEN for name in names):
        left_out[NAMELESS] += 1
        return None
    if not were_hidden and shown != names:
        left_out[CONTRADICTING] += 1
        return None
    return _Models(names[0], names[1], were_hidden)


def _plain(shown: str | None) -> str:
    """Without the heading in which a page showed it."""
    name = shown or ""
    for heading in _REVEALED:
        name = name.removeprefix(heading)
    return name.strip()


def _row(line: Line, models: _Models, needs: Collection[str]) -> _Row:
    left, right = line["states"]
    said = _said(left)
    row = {
        MODEL_A: models.left,
        MODEL_B: models.right,
        OUTCOME: outcome_of(line["type"]),
        TIME: float(line["tstamp"]),
        ANONYMOUS: models.were_hidden,
        TURNS: len(said) // 2,
        QUESTION: left["conv_id"],
        ADDRESS: line.get("ip"),
    }
    if CONV_A in needs:
        row[CONV_A] = _talk(said)
    if CONV_B in needs:
        row[CONV_B] = _talk(_said(right))
    return row


def _said(state: Line) -> list[Any]:
    """Without the examples that a template begins with."""
    messages: list[Any] = state["messages"]
    offset = state.get("offset")
    return messages[offset:] if isinstance(offset, int) and 0 <= offset <= len(messages) else messages


def _talk(said: Iterable[Any]) -> list[dict[str, str]]:
    return [
        {"role": "assistant" if number % 2 else "user", "content": _text(content)}
        for number, (_, content) in enumerate(said)
    ]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else text_of(question_parts(content))
