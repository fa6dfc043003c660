"""Models that were served under one name and are listed under another, at least for some time (`renames.toml`)."""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat.arena.leaderboard.votes import MODEL_A, MODEL_B, TIME, VoteTable
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    import polars as pl


class Rename(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    old: str = Field(alias="from", min_length=1)
    new: str = Field(alias="to", min_length=1)
    until: float | None = None  # UTC seconds of the vote, these included
    after: float | None = None  # likewise, these not


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rename: tuple[Rename, ...]


def renames(file: Path | None = None) -> tuple[Rename, ...]:
    """FastChat's if no file is given.

    Raises:
        SetupError: the file cannot be read, or is no such table.
    """
    try:
        text = file.read_text("utf-8") if file else (files(__package__) / "renames.toml").read_text("utf-8")
        return _Table.model_validate(tomllib.loads(text)).rename
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
    except (ValidationError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise SetupError(
            f'{file} is no table of renames: {reason}. A line of it: {{ from = "a", to = "b" }}.'
        ) from None


def renamed(table: VoteTable, names: Sequence[Rename]) -> VoteTable:
    """Those that hold for a time only need the time of the vote; without it the name stays."""
    import polars as pl

    wanted = [one for one in names if one.old in table.models and (table.has(TIME) or one.until == one.after)]
    if not wanted:
        return table
    frame = table.frame.with_columns(_new_name(side, wanted) for side in (MODEL_A, MODEL_B))
    present = {name for side in (MODEL_A, MODEL_B) for name in frame[side].unique().drop_nulls().to_list()}
    return replace(table, frame=frame.with_columns(pl.col(MODEL_A, MODEL_B).cast(pl.Enum(sorted(present)))))


def _new_name(side: str, wanted: Sequence[Rename]) -> "pl.Expr":
    import polars as pl

    old = pl.col(side).cast(pl.String)
    new = old
    for one in wanted:
        holds = old == one.old
        if one.until is not None:
            holds &= pl.col(TIME) <= one.until
        if one.after is not None:
            holds &= pl.col(TIME) > one.after
        new = pl.when(holds).then(pl.lit(one.new)).otherwise(new)
    return new.alias(side)
