"""Files that a leaderboard is made of: boards of our own, and FastChat's.

`--elo-results-file`: a board that `fastchat leaderboard build` wrote; or FastChat's pickle or JSON, that is
`{category: result}` or `{"text": {category: result}, "vision": {…}}`, where a result has `leaderboard_table_df` (index:
model; columns rating, rating_q025, rating_q975, num_battles, final_ranking) and `last_updated_datetime`.
`--leaderboard-table-file`: CSV of facts about models. `--arena-hard-table`: CSV of a benchmark's scores. Plots in a
pickle are not read.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fastchat.arena.leaderboard.board import Board, read_board
from fastchat.core.errors import SetupError
from fastchat.web import inert_pickle

_LARGEST = {"results": 1 << 30, "csv": 16 << 20}  # bytes; a pickle with plots of all categories has some 10^8
_TABLE = "leaderboard_table_df"


def _plain_number(value: Any) -> Any:  # Any: a cell of somebody's table
    value = inert_pickle.scalar_of(value)
    if isinstance(value, str):
        value = value.strip().rstrip("%")
    is_missing = value in ("", "-", "N/A") or value != value  # only NaN differs from itself
    return None if is_missing else value


_Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = Annotated[_Finite | None, BeforeValidator(_plain_number)]
Count = Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_plain_number)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class Rating(_Row):
    """A model's place in one category."""

    model: str
    rating: Annotated[_Finite, BeforeValidator(_plain_number)]
    low: Number = Field(None, alias="rating_q025")
    high: Number = Field(None, alias="rating_q975")
    battles: Count = Field(None, alias="num_battles")


class Facts(_Row):
    """A line of the table of models. What is unknown is empty or None."""

    key: str
    name: str = Field(alias="Model")
    link: str = Field("", alias="Link")
    organization: str = Field("", alias="Organization")
    license: str = Field("", alias="License")
    cutoff: str = Field("", alias="Knowledge cutoff date")
    mt_bench: Number = Field(None, alias="MT-bench (score)")
    mmlu: Number = Field(None, alias="MMLU")

    @property
    def safe_link(self) -> str | None:
        return self.link if self.link.startswith(("https://", "http://")) else None


class HardScore(_Row):
    """A line of Arena-Hard's table."""

    model: str
    score: Number
    low: Number = Field(None, alias="rating_q025")
    high: Number = Field(None, alias="rating_q975")
    tokens: Number = Field(None, alias="avg_tokens")
    date: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    key: str  # "full", "coding_style_control"
    group: str  # "text" or "vision"
    ratings: tuple[Rating, ...]
    updated: str = ""

    @property
    def id(self) -> str:
        return f"{self.group}.{self.key}"


@dataclass(frozen=True, slots=True)
class Results:
    """All that the files say. Each part may be missing."""

    board: Board | None = None
    categories: tuple[Category, ...] = ()  # of FastChat's
    facts: Mapping[str, Facts] | None = None  # by key, in the file's order
    hard: tuple[HardScore, ...] | None = None

    @property
    def is_empty(self) -> bool:
        return self.board is None and not self.categories and self.facts is None and self.hard is None

    def facts_of(self, model: str) -> Facts | None:
        return (self.facts or {}).get(model)


def read_results(elo: Path | None = None, table: Path | None = None, hard: Path | None = None) -> Results:
    """
    Raises:
        SetupError: a file cannot be read, or does not hold what it should.
    """
    parsed = _parsed(_read(elo, _LARGEST["results"]), elo) if elo else {}
    is_board = "format" in parsed
    return Results(
        board=read_board(elo) if elo and is_board else None,
        categories=tuple(_read_categories(parsed, elo)) if elo and not is_board else (),
        facts={row.key: row for row in _read_csv(table, Facts, ("key", "Model"))} if table else None,
        hard=tuple(_read_csv(hard, HardScore, ("model", "score"))) if hard else None,
    )


def _read_categories(parsed: Mapping[str, Any], file: Path) -> list[Category]:
    found = list(_categories(parsed, file))
    if not found:
        raise SetupError(
            f"{file} has no table of ratings. Give a board of `fastchat leaderboard build`, or what FastChat's "
            f"`elo_analysis` writes: a category, in it {_TABLE!r}."
        )
    return found


def _parsed(content: bytes, file: Path) -> Mapping[str, Any]:
    # Told apart by what they begin with: names of files are renamed.
    if content.lstrip()[:1] == b"{":
        try:
            parsed = json.loads(content)
        except ValueError as error:
            raise SetupError(f"{file} is not JSON: {error}.") from None
    else:
        parsed = inert_pickle.load(content, str(file))
    if isinstance(parsed, inert_pickle.StandIn):
        parsed = parsed.items  # a dict of another kind
    if not isinstance(parsed, dict):
        raise SetupError(f"{file} holds no categories of results. Give what `elo_analysis` writes.")
    return parsed


def _categories(parsed: Mapping[str, Any], file: Path) -> Iterator[Category]:
    is_grouped = any(group in parsed for group in ("text", "vision"))
    for group, results in parsed.items() if is_grouped else [("text", parsed)]:
        for key, result in results.items() if isinstance(results, dict) else ():
            if isinstance(result, dict) and _TABLE in result:
                rows = [_validated(Rating, row, file, f"category {key!r}") for row in _rows(result[_TABLE], file, key)]
                yield Category(str(key), str(group), tuple(rows), str(result.get("last_updated_datetime") or ""))


def _rows(table: Any, file: Path, key: str) -> Iterator[Mapping[str, Any]]:
    """Of a DataFrame, of `{column: {model: value}}`, or of a list of rows."""
    frame = inert_pickle.table_of(table)
    if frame is not None:
        for at, model in enumerate(frame.index):
            yield {"model": model} | {name: column[at] for name, column in frame.columns.items()}
    elif isinstance(table, list):
        yield from (row if isinstance(row, dict) else {} for row in table)
    elif isinstance(table, dict) and all(isinstance(column, dict) for column in table.values()):
        for model in next(iter(table.values()), {}):
            yield {"model": model} | {name: column.get(model) for name, column in table.items()}
    else:
        raise SetupError(
            f"{file}: the table of category {key!r} was written by a pandas whose files are not understood here. Write "
            f"the results as JSON instead: {{category: {{{_TABLE!r}: [{{'model': …, 'rating': …}}, …]}}}}."
        )


def _read_csv(file: Path, row_type: Any, required: Sequence[str]) -> Iterator[Any]:  # Any: the type's own rows
    try:
        text = _read(file, _LARGEST["csv"]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SetupError(f"{file} is not UTF-8: {error}.") from None
    lines = csv.DictReader(text.splitlines(), restkey="", restval="")
    missing = [name for name in required if name not in (lines.fieldnames or ())]
    if missing:
        raise SetupError(f"{file} has no column {missing[0]!r}. It needs at least: {', '.join(required)}.")
    for line in lines:
        row = {name: value.strip() for name, value in line.items() if isinstance(value, str)}
        known = {name: "" if value == "-" else value for name, value in row.items()}
        yield _validated(row_type, known, file, f"line {lines.line_num}")


def _validated(row_type: Any, row: Mapping[str, Any], file: Path, where: str) -> Any:  # Any: as above
    try:
        return row_type.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise SetupError(f"{file}, {where}: {field}: {first['msg']} (given: {str(first['input'])[:60]!r}).") from None


def _read(file: Path, largest: int) -> bytes:
    try:
        if file.stat().st_size > largest:
            raise SetupError(f"{file} has more than {largest >> 20} MiB, so it is hardly what it should be.")
        return file.read_bytes()
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
