"""What is known of models beside their votes: a table that somebody keeps, and medians from the votes themselves.

key,Model,License,Organization,Link,…              FastChat's leaderboard_table_YYYYMMDD.csv
gpt-4: {organization: OpenAI, price: 10, family: gpt-4, …}     or YAML, fields as of `board.ModelFacts`
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from fastchat.arena.leaderboard.board import ModelFacts
from fastchat.core.errors import SetupError

if TYPE_CHECKING:
    from fastchat.arena.leaderboard.votes import VoteTable

# Columns of FastChat's table, and of a CSV of one's own.
_CSV = {
    "Model": "title", "Organization": "organization", "License": "license", "Link": "link",
    "organization": "organization", "license": "license", "link": "link", "title": "title", "family": "family",
    "parameters_b": "parameters_b", "price": "price",
}  # fmt: skip
_MEDIANS = {"tokens": "tokens", "first_token_s": "first_token_s", "tokens_per_s": "tokens_per_s"}
_UNKNOWN = ("", "-", "N/A")


def read_facts(file: Path) -> dict[str, ModelFacts]:
    """
    Raises:
        SetupError: the file cannot be read, or a line of it.
    """
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{file} is not UTF-8: {error}.") from None
    rows = _csv_rows(text, file) if file.suffix.lower() == ".csv" else _yaml_rows(text, file)
    return {name: _facts(row, f"{file}, {name!r}") for name, row in rows.items()}


def _csv_rows(text: str, file: Path) -> dict[str, Mapping[str, Any]]:
    lines = csv.DictReader(text.splitlines(), restkey="", restval="")
    key = next((name for name in ("key", "name", "model") if name in (lines.fieldnames or ())), None)
    if key is None:
        raise SetupError(f"{file} has no column 'key' with the names that models have in the votes.")
    return {
        line[key].strip(): {
            _CSV[column]: value.strip()
            for column, value in line.items()
            if column in _CSV and isinstance(value, str) and value.strip() not in _UNKNOWN
        }
        for line in lines
        if line[key].strip()
    }


def _yaml_rows(text: str, file: Path) -> dict[str, Mapping[str, Any]]:
    try:
        parsed = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SetupError(f"{file} is not YAML: {error}.") from None
    if not isinstance(parsed, dict) or not all(isinstance(row, dict) for row in parsed.values()):
        raise SetupError(f"{file}: give a model a line, as in `gpt-4: {{organization: OpenAI, price: 10}}`.")
    return {str(name): row for name, row in parsed.items()}


def _facts(row: Mapping[str, Any], where: str) -> ModelFacts:
    try:
        return ModelFacts.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        known = ", ".join(ModelFacts.model_fields)
        raise SetupError(f"{where}: {first['loc'][0]}: {first['msg']}. What may be said of a model: {known}.") from None


def with_medians(facts: Mapping[str, ModelFacts], votes: "VoteTable") -> dict[str, ModelFacts]:
    """The same facts, with how long answers are and how fast they came, where the votes know it."""
    found: dict[str, dict[str, float]] = {}
    for column, field in _MEDIANS.items():
        for name, median in _medians(votes, column).items():
            found.setdefault(name, {})[field] = median
    names = sorted({name for name in facts if name in votes.models} | set(found))
    return {name: facts.get(name, ModelFacts()).model_copy(update=found.get(name, {})) for name in names}


def _medians(votes: "VoteTable", column: str) -> dict[str, float]:
    if not votes.has(f"{column}_a", f"{column}_b"):
        return {}
    import polars as pl

    sides = [
        votes.frame.select(
            pl.col(f"model_{side}").cast(pl.String).alias("model"), pl.col(f"{column}_{side}").cast(float).alias("of")
        )
        for side in "ab"
    ]
    medians = pl.concat(sides).drop_nulls().group_by("model").agg(pl.col("of").median()).sort("model")
    return {name: round(value, 6) for name, value in medians.iter_rows()}
