"""Votes out of files: CSV, JSON, JSON lines, Parquet, FastChat's logs and clean battles, packed by gzip or not.

Columns are called as FastChat or our exports call them, or as one is told; what form a file has, its content tells.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastchat.arena.leaderboard import formats
from fastchat.arena.leaderboard.digests import file_digest, votes_digest
from fastchat.arena.leaderboard.fastchat_votes import read_logs
from fastchat.arena.leaderboard.files import Form, VoteFile, chosen, form_of
from fastchat.arena.leaderboard.vote_columns import REQUIRED, Wanted
from fastchat.arena.leaderboard.vote_values import chosen_rows, votes_of
from fastchat.arena.leaderboard.votes import MODEL_A, MODEL_B, WEIGHT, VoteTable
from fastchat.core.errors import MissingPackage, SetupError
from fastchat.ranking.counts import Counts

if TYPE_CHECKING:
    import polars as pl

_ROWS_AT_ONCE = 500_000


def read_votes(
    files: Sequence[Path],
    *,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    needs: Collection[str] = (),
) -> VoteTable:
    """All votes, in the order of the files and of their rows; those of FastChat's logs come last, by time.

    `columns`: our name → the file's. `where`: the file's column → the value of the rows that are read. Conversations
    are read only if `needs` has their columns. Models against themselves are among the votes.

    Raises:
        SetupError: a file, a column or a value is missing or not allowed; names the file, its line or row, and what is.
        MissingPackage: polars is not installed.
    """
    _require_polars()
    wanted = Wanted(columns or {}, where or {}, frozenset(needs))
    found = _found(files)
    parts, told = [], []
    for file, form in found.tables:
        part = next(_frames(file.path, form, wanted))
        parts.append(part)
        told.append({"name": file.name, "form": form.value, "sha256": file_digest(file.path), "votes": part.height})
    told += [{"name": file.name, "form": Form.LOG.value, "sha256": file_digest(file.path)} for file in found.logs]
    source: dict[str, Any] = {"files": told}
    if found.logs:
        logged = read_logs([file.path for file in found.logs], needs)
        parts.append(_kept(logged.frame, found.logs[0].path, wanted))
        source["left_out"] = dict(logged.left_out)
    table = _table(parts)
    if not len(table):
        raise _nothing(files, wanted)
    digest = votes_digest(table.frame)
    return VoteTable(table.frame, {**source, "votes": len(table), "votes_sha256": digest})


def stream_counts(
    files: Sequence[Path],
    *,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    rows_at_once: int = _ROWS_AT_ONCE,
) -> Counts:
    """Votes added up as they are read, so there may be more of them than memory holds.

    Those of a model against itself, and of weight 0, are left out. FastChat's logs, and JSON that is one list, are read
    whole.

    Raises:
        SetupError, MissingPackage: as of `read_votes`.
    """
    _require_polars()
    wanted = Wanted(columns or {}, where or {}, only=(*REQUIRED, WEIGHT))
    found = _found(files)
    total = Counts.empty()
    for file, form in found.tables:
        for part in _frames(file.path, form, wanted, rows_at_once):
            total += _counts(part)
    if found.logs:
        logged = read_logs([file.path for file in found.logs])
        total += _counts(_kept(logged.frame, found.logs[0].path, wanted))
    if not total.number:
        raise _nothing(files, wanted)
    return total


class _Found(NamedTuple):
    tables: Sequence[tuple[VoteFile, Form]]
    logs: Sequence[VoteFile]


def _found(files: Sequence[Path]) -> _Found:
    forms = [(file, form_of(file.path)) for file in chosen(files)]
    tables = [(file, form) for file, form in forms if form is not Form.LOG]
    return _Found(tables, [file for file, form in forms if form is Form.LOG])


def _frames(file: Path, form: Form, wanted: Wanted, rows: int | None = None) -> Iterator["pl.DataFrame"]:
    row = 1
    for raw in formats.frames(file, form, wanted.names, rows):
        if missing := wanted.missing(raw.columns):
            names = ", ".join(formats.column_names(file, form)) or "none"
            raise SetupError(f"{file} has {missing}. Its columns: {names}.")
        yield votes_of(raw, file, wanted, row)
        row += raw.height


def _kept(frame: "pl.DataFrame", file: Path, wanted: Wanted) -> "pl.DataFrame":
    """Of logs, whose columns have our names already."""
    for name in wanted.where:
        if name not in frame.columns:
            raise SetupError(f"{file} has no column {name!r} to choose votes by. Of logs: {', '.join(frame.columns)}.")
    kept = chosen_rows(frame, file, wanted)
    return frame if kept is None else frame.filter(kept)


def _table(parts: Sequence["pl.DataFrame"]) -> VoteTable:
    """With one code a model over all of them. Votes that have no weight count once."""
    import polars as pl

    frame = pl.concat(parts, how="diagonal") if len(parts) > 1 else parts[0]
    if WEIGHT in frame.columns:
        frame = frame.with_columns(pl.col(WEIGHT).fill_null(1.0))
    names = pl.concat([frame[MODEL_A].unique(), frame[MODEL_B].unique()]).unique().sort()
    return VoteTable(frame.with_columns(pl.col(MODEL_A, MODEL_B).cast(pl.Enum(names))))


def _counts(part: "pl.DataFrame") -> Counts:
    import polars as pl

    counting = pl.col(MODEL_A) != pl.col(MODEL_B)
    if WEIGHT in part.columns:
        counting &= pl.col(WEIGHT).ne_missing(0.0)
    table = _table([part.filter(counting)])
    return Counts.of(table.comparisons())


def _nothing(files: Sequence[Path], wanted: Wanted) -> SetupError:
    named = ", ".join(map(str, files))
    conditions = " and ".join(f"{name} is {value!r}" for name, value in wanted.where.items())
    return SetupError(f"There is no vote in {named}{f' whose {conditions}' if conditions else ''}.")


def _require_polars() -> None:
    if find_spec("polars") is None:
        raise MissingPackage("polars", "leaderboard", "Reading votes from files")
