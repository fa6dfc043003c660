"""Digests that tell whether votes are the same ones: of a file as it is, and of what votes say in whatever file."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastchat.arena.leaderboard.votes import (
    ANONYMOUS,
    CATEGORY,
    LANGUAGE,
    MODEL_A,
    MODEL_B,
    OUTCOME,
    PROBABILITY,
    TIME,
    TURNS,
    VOTER,
    WEIGHT,
)

if TYPE_CHECKING:
    import polars as pl

# What ratings can depend on besides the text. Which of the others are read is up to who asks.
_COLUMNS = (MODEL_A, MODEL_B, OUTCOME, WEIGHT, VOTER, TIME, ANONYMOUS, PROBABILITY, CATEGORY, LANGUAGE, TURNS)


def file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def votes_digest(frame: "pl.DataFrame") -> str:
    """SHA-256 of the rows in their order: the same from CSV, JSON or Parquet, however the votes were compressed.

    Each column goes in by its name, the lengths of its values with -1 for what is not there, and the values.
    """
    hashed = hashlib.sha256()
    for name in _COLUMNS:
        if name in frame.columns and frame[name].null_count() < frame.height:
            hashed.update(name.encode() + b"\0")
            _update(hashed, frame[name])
    return hashed.hexdigest()


def _update(hashed: "hashlib._Hash", values: "pl.Series") -> None:
    import polars as pl

    if isinstance(values.dtype, pl.Enum):
        names = values.dtype.categories
        hashed.update("\0".join(names.to_list()).encode() + b"\0\0")
        hashed.update(values.to_physical().to_numpy().astype("<i4").data)
    elif values.dtype == pl.String:
        hashed.update(values.str.len_bytes().cast(pl.Int64).fill_null(-1).to_numpy().astype("<i8").data)
        hashed.update(str(values.str.join("").item()).encode())
    else:
        hashed.update(np.packbits(values.is_null().to_numpy()).data)
        hashed.update(values.cast(pl.Float64).fill_null(0).to_numpy().astype("<f8").data)
