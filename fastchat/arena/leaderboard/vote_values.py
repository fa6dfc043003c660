"""Raw columns as typed ones: names, outcomes, numbers, times, or words about the row that has something else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.arena.leaderboard.conversations import figures_of, list_of_texts, talk_of
from fastchat.arena.leaderboard.vote_columns import FIGURES, METADATA, REQUIRED, WINNER, WINNERS, Wanted, outcome_of
from fastchat.arena.leaderboard.votes import (
    ANONYMOUS,
    CATEGORY,
    CONV_A,
    CONV_B,
    DWELL,
    LANGUAGE,
    MARKS,
    MODEL_A,
    MODEL_B,
    OUTCOME,
    PROBABILITY,
    QUESTION,
    TAG,
    TIME,
    TURNS,
    VOTER,
    WEIGHT,
)
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    import polars as pl

_TRUTHS = {"true": True, "1": True, "1.0": True, "yes": True, "false": False, "0": False, "0.0": False, "no": False}


def votes_of(raw: "pl.DataFrame", file: Path, wanted: Wanted, first_row: int = 1) -> "pl.DataFrame":
    """Rows that `wanted.where` chooses, with our names and types; models are plain strings yet.

    Raises:
        SetupError: a value is none that its column can have; names the file, the row, the value, and what is allowed.
    """
    import polars as pl

    kept = chosen_rows(raw, file, wanted)
    places = wanted.places(raw.columns)
    typed: list[pl.Series] = []
    for ours, name in places.items():
        column = Column(name, raw[name], kept, file, first_row)
        if ours == METADATA:
            typed += [figure for figure in figures_of(column.values) if figure.name not in places]
        elif ours in REQUIRED or column.values.null_count() < len(column.values):
            typed.append(_TYPED[ours](column).alias(ours))
    known = [values for values in typed if values.name in REQUIRED or values.null_count() < len(values)]
    frame = pl.DataFrame(known).rename({WINNER: OUTCOME})
    return frame if kept is None else frame.filter(kept)


@dataclass(frozen=True, slots=True)
class Column:
    """Of a file, and which of its rows are read."""

    name: str
    values: "pl.Series"
    kept: "pl.Series | None"
    file: Path
    first_row: int

    def refuse(self, bad: "pl.Series", allowed: str) -> None:
        """Where there is such a row."""
        bad = bad if self.kept is None else bad & self.kept
        row = bad.arg_max() if bad.any() else None
        if row is not None:
            given = self.values[row]
            said = "nothing" if given is None or given == "" else repr(given)[:200]
            raise SetupError(f"{self.file}, row {self.first_row + row}: {self.name} is {said}. It has to be {allowed}.")

    def texts(self) -> "pl.Series":
        """Nothing and an empty text are the same: CSV cannot tell them apart."""
        import polars as pl

        try:
            texts = self.values.cast(pl.String)
        except pl.exceptions.PolarsError:
            raise SetupError(f"{self.file}: {self.name} has {self.values.dtype}; it has to have text.") from None
        return texts.replace("", None)

    def numbers(self, allowed: str = "a number") -> "pl.Series":
        import polars as pl

        if self.values.dtype.is_numeric():
            numbers = self.values.cast(pl.Float64)
        else:
            texts = self.texts()
            numbers = texts.cast(pl.Float64, strict=False)
            if numbers.null_count() > texts.null_count():
                texts = texts.str.strip_chars()
                numbers = texts.cast(pl.Float64, strict=False)
                self.refuse(numbers.is_null() & texts.is_not_null(), allowed)
        return numbers.fill_nan(None)


def _model(column: Column) -> "pl.Series":
    names = column.texts()
    column.refuse(names.is_null(), "the name of a model")
    return names


def _outcome(column: Column) -> "pl.Series":
    import polars as pl

    texts = column.texts()
    labels = texts.unique().drop_nulls()
    outcomes = pl.Series([outcome_of(label) for label in labels.to_list()], dtype=pl.Int8)
    found = outcomes.gather(texts.cast(pl.Enum(labels)).to_physical())  # quicker than to look each label up
    column.refuse(found.is_null(), f"one of {WINNERS}")
    return found


def _weight(column: Column) -> "pl.Series":
    allowed = "a number from 0 on"  # 0 is left out where votes are rated
    weights = column.numbers(allowed)
    column.refuse(weights.is_null() | ~(weights.is_finite() & (weights >= 0)), allowed)
    return weights


def _probability(column: Column) -> "pl.Series":
    allowed = "a number above 0 and at most 1"
    numbers = column.numbers(allowed)
    column.refuse(numbers.is_not_null() & ~((numbers > 0) & (numbers <= 1)), allowed)
    return numbers


def _time(column: Column) -> "pl.Series":
    """UTC seconds, of a date without a zone too."""
    import polars as pl

    dates = column.values
    if dates.dtype == pl.String:
        texts = column.texts().str.strip_chars()
        seconds = texts.cast(pl.Float64, strict=False)
        if seconds.null_count() == texts.null_count():
            return seconds.fill_nan(None)
        dates = texts.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
        column.refuse(dates.is_null() & texts.is_not_null(), "seconds since 1970, or dates like 2024-02-20T12:00:00Z")
    if dates.dtype.is_temporal():
        return dates.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64) / 1e6
    return column.numbers()


def _truth(column: Column) -> "pl.Series":
    import polars as pl

    if column.values.dtype == pl.Boolean:
        return column.values
    texts = column.texts().str.to_lowercase()
    truths = texts.replace_strict(list(_TRUTHS), list(_TRUTHS.values()), default=None, return_dtype=pl.Boolean)
    column.refuse(truths.is_null() & texts.is_not_null(), "true or false")
    return truths


def _count(column: Column) -> "pl.Series":
    import polars as pl

    numbers = column.numbers()
    column.refuse((numbers != numbers.round()) | (numbers < 0), "a whole number")
    return numbers.cast(pl.Int64)


def _as_json(column: Column) -> "pl.Series":
    """Of labels in a row, which are an object whose fields differ from file to file."""
    import polars as pl

    return column.values.struct.json_encode() if isinstance(column.values.dtype, pl.Struct) else column.texts()


_TYPED: dict[str, Callable[[Column], "pl.Series"]] = {
    **dict.fromkeys((MODEL_A, MODEL_B), _model),
    WINNER: _outcome,
    WEIGHT: _weight,
    TIME: _time,
    ANONYMOUS: _truth,
    PROBABILITY: _probability,
    TURNS: _count,
    **dict.fromkeys((VOTER, CATEGORY, LANGUAGE, QUESTION), Column.texts),
    **dict.fromkeys((DWELL, *FIGURES), Column.numbers),
    TAG: _as_json,
    MARKS: lambda column: list_of_texts(column.values),
    **dict.fromkeys((CONV_A, CONV_B), lambda column: talk_of(column.values)),
}


def chosen_rows(raw: "pl.DataFrame", file: Path, wanted: Wanted) -> "pl.Series | None":
    """By `wanted.where`. None: all of them."""
    kept: pl.Series | None = None
    for name, value in wanted.where.items():
        texts = Column(name, raw[name], None, file, 1).texts()
        is_there = _equal(texts, value).fill_null(False)
        kept = is_there if kept is None else kept & is_there
    return kept


def _equal(texts: "pl.Series", value: str) -> "pl.Series":
    """As text; numbers also as numbers, so 8 is 8.0; true and false in any case."""
    import polars as pl

    if value.casefold() in ("true", "false"):
        return texts.str.to_lowercase() == value.casefold()
    try:
        number = float(value)
    except ValueError:
        return texts == value
    return (texts == value) | (texts.cast(pl.Float64, strict=False) == number).fill_null(False)
