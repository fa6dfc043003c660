"""CSV, JSON, JSON lines and Parquet as frames with the file's own columns, only those that are asked for.

Values of CSV and JSON come as text, mostly nested ones too; `vote_values` makes something of them, alike for all forms.
"""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastchat.arena.leaderboard.conversations import json_kinds
from fastchat.arena.leaderboard.files import Form, is_packed, lines, list_of_votes, opened
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    import polars as pl


_JSON = (Form.LINES, Form.LIST, Form.OBJECT)


def frames(file: Path, form: Form, names: Sequence[str], rows: int | None = None) -> Iterator["pl.DataFrame"]:
    """The file's votes in their order: so many in a frame, or all in one. Of the names, only those that are there.

    Raises:
        SetupError: the file is not what it seems to be; names the line, where there are lines.
    """
    import polars as pl

    if form is Form.OBJECT:
        yield _read_json(file, form, names)
        return
    done = 0
    try:
        lazy = _scan(file, form, names)
        known = lazy.collect_schema().names()
        chosen = lazy.select(name for name in names if name in known)
        for frame in [chosen.collect()] if rows is None else chosen.collect_batches(chunk_size=rows):
            if form is Form.LINES and _has_nested_backslashes(frame):
                yield _read_json(file, form, names).slice(done)
                return
            yield _without_absent(frame, form)
            done += frame.height
    except (pl.exceptions.PolarsError, OSError) as error:
        if form in _JSON:
            yield _read_json(file, form, names).slice(done)
            return
        if form is Form.CSV:
            _check_csv(file)
        raise SetupError(f"{file} cannot be read as {form.value}: {str(error).splitlines()[0]}.") from None


def column_names(file: Path, form: Form) -> list[str]:
    """Of the file, or of a JSON file's first vote."""
    if form in _JSON:
        first = next(iter(_json_rows(file, form)), {})
        return list(first)
    return _scan(file, form, ()).collect_schema().names()


def _scan(file: Path, form: Form, names: Sequence[str]) -> "pl.LazyFrame":
    import polars as pl

    match form:
        case Form.CSV:
            return pl.scan_csv(file, infer_schema=False, separator=_separator(file))
        case Form.PARQUET if is_packed(file):
            with opened(file) as stream:
                return pl.scan_parquet(io.BytesIO(stream.read()))
        case Form.PARQUET:
            return pl.scan_parquet(file)
        case Form.LINES:
            return pl.scan_ndjson(file, schema={name: pl.String() for name in names})
        case _:
            schema = {name: pl.String() for name in names} | json_kinds(names)
            with opened(file) as stream:
                return pl.read_json(stream.read(), schema=schema).lazy()


def _has_nested_backslashes(frame: "pl.DataFrame") -> bool:
    """Polars writes nested values of JSON lines as text, but leaves backslashes in them as they were: `\\frac` would be
    read as a form feed and `rac`, and much would be no JSON at all."""
    import polars as pl

    found = frame.select(pl.col(pl.String).str.contains(r"(?s)^\s*[\[{].*\\").any()) if frame.width else frame
    return any(found.row(0)) if found.height else False


def _separator(file: Path) -> str:
    with opened(file) as stream:
        header = stream.readline().decode(errors="replace")
    return max(",;\t", key=header.count)


def _without_absent(frame: "pl.DataFrame", form: Form) -> "pl.DataFrame":
    """Polars makes up columns that a JSON file does not have."""
    if form not in _JSON or not frame.height:
        return frame
    return frame.select(column for column in frame if column.null_count() < frame.height)


def _read_json(file: Path, form: Form, names: Sequence[str]) -> "pl.DataFrame":
    """By Python: slower, but it takes any JSON, and knows where it is none."""
    import polars as pl

    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for vote in _json_rows(file, form):
        for name, values in columns.items():
            values.append(_text(vote.get(name)))
    return _without_absent(pl.DataFrame(columns, schema={name: pl.String() for name in names}), form)


def _text(value: Any) -> str | None:
    """Any: JSON"""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json_rows(file: Path, form: Form) -> Iterator[dict[str, Any]]:
    if form is Form.LINES:
        for number, line in lines(file):
            yield _vote(_parsed(file, line, number), f"{file}, line {number}")
        return
    with opened(file) as stream:
        document = _parsed(file, stream.read(), 1)
    votes = list_of_votes(document) if isinstance(document, dict) else document
    if not isinstance(votes, list):
        given = f"an object with {', '.join(document) or 'nothing'}" if isinstance(document, dict) else repr(document)
        raise SetupError(f"{file} has {given[:200]}. Give a list of votes, or an object that has one under 'votes'.")
    for number, vote in enumerate(votes, 1):
        yield _vote(vote, f"{file}, vote {number}")


def _parsed(file: Path, text: bytes, first_line: int) -> Any:
    """Any: JSON"""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise SetupError(f"{file}, line {line} is no JSON: {error.msg} at character {error.colno}.") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise SetupError(f"{file}, line {first_line} is no JSON: {error}.") from None


def _vote(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SetupError(f'{place} is {repr(value)[:200]}. A vote is an object: {{"model_a": …, "model_b": …, …}}.')
    return value


def _check_csv(file: Path) -> None:
    longest = csv.field_size_limit(sys.maxsize)  # a conversation can be long
    try:
        with opened(file) as stream:
            rows = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), delimiter=_separator(file))
            header = next(rows, [])
            for row in rows:
                if len(row) > len(header):
                    raise SetupError(
                        f"{file}, line {rows.line_num} has {len(row)} values; the header has {len(header)} names."
                    )
    except csv.Error as error:
        raise SetupError(f"{file}, line {rows.line_num + 1} is no CSV: {error}.") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{file} is not in UTF-8: {error}.") from None
    finally:
        csv.field_size_limit(longest)
