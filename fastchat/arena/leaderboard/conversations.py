"""Nested columns of votes: conversations, FastChat's figures of style, marks; as structures or as JSON in a text.

conversation_a: [{"role": "user", "content": "hello", "num_tokens": 1}, {"role": "assistant", "content": …}, …]
conv_metadata: {"sum_assistant_a_tokens": 9, "header_count_a": {"h1": 0, …}, "list_count_a": {…}, …}
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fastchat.arena.leaderboard.vote_columns import METADATA, NAMES
from fastchat.arena.leaderboard.votes import CONV_A, CONV_B, MARKS

if TYPE_CHECKING:
    import polars as pl

# Ours → FastChat's, and what its counts are divided into.
_FIGURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    f"{ours}_{side}": (theirs.format(side), parts)
    for side in "ab"
    for ours, theirs, parts in (
        ("tokens", "sum_assistant_{}_tokens", ()),
        ("headers", "header_count_{}", ("h1", "h2", "h3", "h4", "h5", "h6")),
        ("lists", "list_count_{}", ("ordered", "unordered")),
        ("bold", "bold_count_{}", ("**", "__")),
    )
}


def talk_kind() -> "pl.List":
    import polars as pl

    return pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def json_kinds(names: Iterable[str]) -> dict[str, "pl.DataType"]:
    """What polars has to be told of nested values in a JSON list; in JSON lines, it takes them as text."""
    import polars as pl

    def kind(parts: Iterable[str]) -> "pl.DataType":
        counts = dict.fromkeys(parts, pl.Float64)
        return pl.Struct(counts) if counts else pl.Float64()

    figures = pl.Struct({theirs: kind(parts) for theirs, parts in _FIGURES.values()})
    kinds = {METADATA: figures, CONV_A: talk_kind(), CONV_B: talk_kind(), MARKS: pl.List(pl.String)}
    known = {name: kinds[ours] for ours in kinds for name in NAMES[ours]}
    return {name: known[name] for name in names if name in known}


def talk_of(values: "pl.Series") -> "pl.Series":
    """As List(Struct(role, content)), whose contents are texts."""
    import polars as pl

    if values.dtype == talk_kind():
        return values
    return pl.Series(values.name, [_messages(_decoded(value)) for value in values.to_list()], dtype=talk_kind())


def list_of_texts(values: "pl.Series") -> "pl.Series":
    import polars as pl

    kind = pl.List(pl.String)
    if values.dtype == kind:
        return values
    decoded = map(_decoded, values.to_list())
    lists = [value if value is None or isinstance(value, list) else [str(value)] for value in decoded]
    return pl.Series(values.name, lists, dtype=kind, strict=False)


def figures_of(values: "pl.Series") -> Iterator["pl.Series"]:
    """tokens_a, headers_a, lists_a, bold_a and of b, those that any vote has."""
    import polars as pl

    if values.dtype == pl.String:
        values = pl.Series(values.name, list(map(_decoded, values.to_list())), strict=False)
    kind = values.dtype
    if not isinstance(kind, pl.Struct):
        return
    known = {part.name for part in kind.fields}
    for ours, (theirs, _) in _FIGURES.items():
        if theirs in known and (figure := _total(values.struct.field(theirs))).null_count() < len(figure):
            yield figure.alias(ours)


def _total(counts: "pl.Series") -> "pl.Series":
    """Of all parts; nothing where none is known."""
    import polars as pl

    if not isinstance(counts.dtype, pl.Struct):
        return counts.cast(pl.Float64, strict=False)
    parts = counts.struct.unnest()
    total = parts.select(pl.sum_horizontal(pl.all().cast(pl.Float64))).to_series()
    return total.zip_with(parts.select(pl.any_horizontal(pl.all().is_not_null())).to_series(), total.clear(len(total)))


def _decoded(value: Any) -> Any:
    """Any: JSON"""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _messages(talk: Any) -> list[dict[str, str]] | None:
    if not isinstance(talk, list):
        return None
    return [
        {"role": str(message.get("role", "")), "content": text_of(message.get("content"))}
        for message in talk
        if isinstance(message, dict)
    ]


def text_of(content: Any) -> str:
    """Of a text, or of parts of which some are texts: ["…", ["image"]], [{"type": "text", "text": "…"}]."""
    match content:
        case str():
            return content
        case {"text": str() as text}:
            return text
        case [*parts]:
            return "\n\n".join(text for part in parts if not isinstance(part, list) and (text := text_of(part)))
    return ""
