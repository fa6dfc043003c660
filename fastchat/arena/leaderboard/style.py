"""How long and how decorated answers are: the columns of a vote table that style control goes by.

tokens, headers, lists, bold of each side; where a file does not tell them, they are counted in its texts
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fastchat.arena.leaderboard.votes import CONV_A, CONV_B, VoteTable
from fastchat.core.errors import SetupError
from fastchat.ranking.comparisons import Floats
from fastchat.ranking.differences import STYLES, style_differences
from fastchat.ranking.markdown import CODE, MARKUP, TOKENS

if TYPE_CHECKING:
    import polars as pl

FEATURES = tuple(STYLES.values())  # tokens, headers, lists, bold

_PATTERNS = {"tokens": TOKENS, **MARKUP}


def with_style(votes: VoteTable) -> VoteTable:
    """The table with the columns of style; what is there already stays as it is.

    Raises:
        SetupError: neither figures nor texts are there.
    """
    missing = [feature for feature in FEATURES if not votes.has(f"{feature}_a", f"{feature}_b")]
    if not missing:
        return votes
    if not votes.has(CONV_A, CONV_B):
        if len(missing) < len(FEATURES):
            return votes  # by what there is
        raise SetupError(
            "--style-control: the votes have neither figures of style (tokens_a, tokens_b, headers_a, …, or FastChat's "
            "conv_metadata) nor the conversations (conv_a, conv_b) to count them in. Name such columns with --columns."
        )
    counted = [
        _counted(column, feature, side) for side, column in (("a", CONV_A), ("b", CONV_B)) for feature in missing
    ]
    return replace(votes, frame=votes.frame.with_columns(counted))


def _counted(column: str, feature: str, side: str) -> "pl.Expr":
    """In all answers of one side; null where there is no text."""
    import polars as pl

    said = pl.element().struct.field("content").filter(pl.element().struct.field("role") == "assistant")
    text = pl.col(column).list.eval(said).list.join("\n")
    if feature != "tokens":
        text = text.str.replace_all(CODE, "")
    return text.str.count_matches(_PATTERNS[feature]).cast(pl.Float64).alias(f"{feature}_{side}")


def style_covariates(votes: VoteTable) -> dict[str, Floats]:
    """(votes,) each, as published boards have them."""
    columns = {
        name: figures(votes, name)
        for feature in FEATURES
        for name in (f"{feature}_a", f"{feature}_b")
        if votes.has(name)
    }
    return style_differences(columns)


def figures(votes: VoteTable, column: str) -> Floats:
    """(votes,): NaN where it is unknown."""
    values: Floats = votes.frame[column].cast(float).fill_null(np.nan).to_numpy()
    return values
