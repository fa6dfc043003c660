"""Comparisons of two models as arrays, a row a vote: what every fit starts from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.int32]
Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

NOBODY = -1  # code of a voter who is not known; each such vote counts as a voter of its own


class Outcome(IntEnum):
    """As the voter said it. The numbers stand in `Comparisons.outcome` and are the first axis of `Counts`."""

    LEFT = 0
    RIGHT = 1
    TIE = 2
    BOTH_BAD = 3


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """`n` comparisons among `len(models)` models. Rows keep the order in which they were given."""

    models: tuple[str, ...]  # a model's code is its place here
    left: Codes  # (n,)
    right: Codes  # (n,)
    outcome: NDArray[np.int8]  # (n,) of Outcome
    weight: Floats | None = None  # (n,), above 0; None: each counts once
    voter: Codes | None = None  # (n,), NOBODY where unknown
    time: Floats | None = None  # (n,) UTC seconds
    covariates: Mapping[str, Floats] = field(default_factory=dict)  # (n,) each: left's minus right's, as a fit takes it

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: arrays differ in length, a code names no model or outcome, a model meets itself, a weight is
                not a positive number.
        """
        columns = [self.right, self.outcome, self.weight, self.voter, self.time, *self.covariates.values()]
        if any(column is not None and column.shape != self.left.shape for column in columns) or self.left.ndim != 1:
            raise ValueError(f"all columns need one value a comparison; there are {len(self.left)} comparisons")
        if len(self) == 0:
            return
        for codes in (self.left, self.right):
            if codes.min() < 0 or codes.max() >= len(self.models):
                raise ValueError(f"codes of models go from 0 to {len(self.models) - 1}")
        if (self.left == self.right).any():
            raise ValueError("a model is compared with itself")
        if self.outcome.min() < 0 or self.outcome.max() > max(Outcome):
            raise ValueError(f"outcomes go from 0 to {int(max(Outcome))}")
        if self.weight is not None and not (np.isfinite(self.weight).all() and (self.weight > 0).all()):
            raise ValueError("weights have to be finite and above 0")

    def __len__(self) -> int:
        return len(self.left)

    def select(self, rows: Mask | NDArray[np.int64]) -> "Comparisons":
        """Of the same models, also of those that no row is left of."""

        def taken(column: Floats | None) -> Floats | None:
            return None if column is None else column[rows]

        return replace(
            self,
            left=self.left[rows],
            right=self.right[rows],
            outcome=self.outcome[rows],
            weight=taken(self.weight),
            voter=None if self.voter is None else self.voter[rows],
            time=taken(self.time),
            covariates={name: column[rows] for name, column in self.covariates.items()},
        )

    @property
    def digest(self) -> str:
        """SHA-256 of all that a fit could read, in the order of the rows."""
        hashed = hashlib.sha256("\0".join(self.models).encode())
        columns = [self.left, self.right, self.outcome, self.weight, self.voter, self.time]
        for column in columns:
            hashed.update(b"-" if column is None else b"+" + np.ascontiguousarray(column).data)
        for name in sorted(self.covariates):
            hashed.update(name.encode() + b"+" + np.ascontiguousarray(self.covariates[name]).data)
        return hashed.hexdigest()


def encode(names: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], list[Codes]]:
    """Columns of names as codes into one sorted tuple of all of them."""
    joined = np.concatenate([np.asarray(column, dtype=np.str_) for column in names])
    models, codes = np.unique(joined, return_inverse=True)
    ends = np.cumsum([len(column) for column in names])[:-1]
    return tuple(map(str, models)), np.split(codes.astype(np.int32), ends)


def comparisons(
    model_a: Sequence[str], model_b: Sequence[str], outcome: Sequence[int], weight: Sequence[float] | None = None
) -> Comparisons:
    """From plain columns; for millions of rows, give `Comparisons` codes made elsewhere.

    Raises:
        ValueError: as of `Comparisons`.
    """
    models, (left, right) = encode([model_a, model_b])
    weights = None if weight is None else np.asarray(weight, dtype=np.float64)
    return Comparisons(models, left, right, np.asarray(outcome, dtype=np.int8), weights)
