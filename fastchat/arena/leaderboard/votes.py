"""Votes as a table with known columns, whatever they were read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastchat.ranking.comparisons import NOBODY, Comparisons, Floats

if TYPE_CHECKING:
    import polars as pl

MODEL_A, MODEL_B, OUTCOME = "model_a", "model_b", "outcome"
WEIGHT, VOTER, TIME = "weight", "voter", "tstamp"
ANONYMOUS, PROBABILITY = "anony", "probability"
CATEGORY, LANGUAGE, TURNS = "category", "language", "turn"
CONV_A, CONV_B = "conv_a", "conv_b"
QUESTION = "question_id"
MARKS = "marks"
DWELL = "dwell_s"
TAG = "category_tag"

REQUIRED = (MODEL_A, MODEL_B, OUTCOME)


@dataclass(frozen=True, slots=True, eq=False)
class VoteTable:
    """A frame with a row a vote, in the order of what was read.

    model_a, model_b: Enum of the same sorted names (left and right). outcome: Int8, of `ranking.Outcome`. Every other
    column may be missing: weight, tstamp (UTC seconds), probability, dwell_s: Float64; voter, category, language,
    question_id, category_tag (JSON): String; anony: Boolean; turn: Int64; marks: List(String); conv_a, conv_b:
    List(Struct(role, content: String)); tokens_a, first_token_s_a, tokens_per_s_a, headers_a, lists_a, bold_a and the
    same of b: Float64. Of FastChat's logs, who asks for it also gets ip: String.
    """

    frame: "pl.DataFrame"
    source: Mapping[str, Any] = field(default_factory=dict)  # plain JSON: where it came from, with digests

    @property
    def models(self) -> tuple[str, ...]:
        kind: Any = self.frame.schema[MODEL_A]
        return tuple(kind.categories.to_list())

    def __len__(self) -> int:
        return self.frame.height

    def has(self, *columns: str) -> bool:
        return all(column in self.frame.columns for column in columns)

    def where(self, kept: "pl.Series | pl.Expr") -> "VoteTable":
        return replace(self, frame=self.frame.filter(kept))

    def comparisons(self, covariates: Mapping[str, Floats] | None = None, *, voters: bool = True) -> Comparisons:
        """As arrays; without `voters`, which take the longest, nothing can be clustered by them.

        Rows of a model against itself have to be gone by now.

        Raises:
            ValueError: as of `Comparisons`.
        """
        frame = self.frame
        return Comparisons(
            models=self.models,
            left=frame[MODEL_A].to_physical().to_numpy().astype(np.int32),
            right=frame[MODEL_B].to_physical().to_numpy().astype(np.int32),
            outcome=frame[OUTCOME].to_numpy().astype(np.int8, copy=False),
            weight=frame[WEIGHT].to_numpy() if self.has(WEIGHT) else None,
            voter=_codes(frame[VOTER]) if voters and self.has(VOTER) else None,
            time=frame[TIME].to_numpy() if self.has(TIME) else None,
            covariates=covariates or {},
        )


def _codes(names: "pl.Series") -> Any:
    """Equal names, equal codes, whatever else is in the table."""
    import polars as pl

    known = pl.Enum(names.unique().drop_nulls().sort())
    return names.cast(known).to_physical().cast(pl.Int32).fill_null(NOBODY).to_numpy()


def table(columns: Mapping[str, Sequence[Any]], source: Mapping[str, Any] | None = None) -> VoteTable:
    """From plain columns, of names and outcome codes at least; for tests and small sets."""
    import polars as pl

    names = sorted({*columns[MODEL_A], *columns[MODEL_B]})
    frame = pl.DataFrame(dict(columns), strict=False).with_columns(
        pl.col(MODEL_A, MODEL_B).cast(pl.Enum(names)), pl.col(OUTCOME).cast(pl.Int8)
    )
    return VoteTable(frame, source or {})
