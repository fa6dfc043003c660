"""Votes row by row: the likelihood of Bradley-Terry with covariates, its derivatives, and the middle of its sandwich.

Rows are gone through in blocks that fit into a core's cache, and only sums by pair of models are kept of them: a design
of all votes by all models is never built.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fastchat.ranking.clusters import WORTH
from fastchat.ranking.comparisons import NOBODY, Codes, Comparisons, Floats
from fastchat.ranking.joint import difference_by_model, summed_squares
from fastchat.ranking.newton import Derivatives

BLOCK = 1 << 15  # rows


class _Block(NamedTuple):
    """Of votes, at some strengths and coefficients."""

    cell: NDArray[np.int64]  # (votes,): left and right model in one number
    covariates: Floats  # (covariates, votes)
    loss: float
    residual: Floats  # (votes,): what the left was worth less what was expected, times the weight
    spread: Floats  # (votes,): variance of what it was worth, times the weight


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All methods take strengths and coefficients in one vector, `at`."""

    models: int
    cell: NDArray[np.int64]  # (votes,): left and right model in one number
    worth: Floats  # (votes,): to the left model; a tie is half a win, whatever was bad
    weight: Floats | None
    covariates: Mapping[str, Floats]

    @classmethod
    def of(cls, votes: Comparisons) -> "Rows":
        models = len(votes.models)
        cell = votes.left.astype(np.int64) * models + votes.right
        return cls(models, cell, WORTH[votes.outcome], votes.weight, votes.covariates)

    def without(self, names: Collection[str]) -> "Rows":
        kept = {name: column for name, column in self.covariates.items() if name not in names}
        return replace(self, covariates=kept)

    @property
    def number(self) -> float:
        return float(len(self.cell) if self.weight is None else self.weight.sum())

    def derivatives(self, at: Floats) -> Derivatives:
        """Of the negative log-likelihood."""
        squares, loss = _Squares.none(self), 0.0
        by_cell, beside = np.zeros(self.models**2), np.zeros(len(self.covariates))
        for block in self._blocks(at):
            loss += block.loss
            by_cell += np.bincount(block.cell, block.residual, self.models**2)
            beside += block.covariates @ block.residual
            squares.add(block, block.spread)
        gradient = np.append(difference_by_model(by_cell.reshape(self.models, -1)), beside)
        return Derivatives(loss, -gradient, squares.matrix)

    def meat(self, at: Floats) -> Floats:
        """The sum over votes of the square of how each pulls at the strengths and coefficients."""
        squares = _Squares.none(self)
        for block in self._blocks(at):
            squares.add(block, block.residual**2)
        return squares.matrix

    def meat_of(self, groups: NDArray[np.int64], at: Floats) -> Floats:
        """With the votes of each group, coded from 0 on, added up first."""
        residual = np.concatenate([block.residual for block in self._blocks(at)])
        number = int(groups.max()) + 1
        scores, models = np.concatenate([residual, -residual]), np.concatenate(np.divmod(self.cell, self.models))
        strengths = csr_array((scores, (np.tile(groups, 2), models)), shape=(number, self.models))
        columns = [np.bincount(groups, residual * column, number) for column in self.covariates.values()]
        beside = np.stack(columns, axis=1) if columns else np.zeros((number, 0))
        cross = strengths.T @ beside
        return np.block([[(strengths.T @ strengths).toarray(), cross], [cross.T, beside.T @ beside]])

    def _blocks(self, at: Floats) -> Iterator[_Block]:
        strengths, coefficients = at[: self.models], at[self.models :]
        apart = (strengths[:, None] - strengths).ravel()
        block = max(BLOCK, self.models**2)  # so that the rows, not the sums by pair, are the work
        for start in range(0, len(self.cell), block):
            rows = slice(start, start + block)
            cell, worth = self.cell[rows], self.worth[rows]
            covariates = np.empty((len(coefficients), len(cell)))
            for place, column in zip(covariates, self.covariates.values(), strict=True):
                place[:] = column[rows]
            log_odds = apart[cell] + coefficients @ covariates
            # All from the odds of the less likely outcome, which keeps its digits where the other is all but certain.
            odds = np.exp(-np.abs(log_odds))
            unlikely = odds / (1 + odds)
            is_left = log_odds >= 0
            residual = worth - is_left + np.copysign(unlikely, log_odds)
            spread = unlikely / (1 + odds)
            surprise = np.log1p(odds) + (is_left - worth) * log_odds
            if self.weight is None:
                yield _Block(cell, covariates, float(surprise.sum()), residual, spread)
            else:
                weight = self.weight[rows]
                yield _Block(cell, covariates, float(weight @ surprise), weight * residual, weight * spread)


@dataclass(frozen=True, slots=True, eq=False)
class _Squares:
    """Sums over votes of a number times the square of their design, see `summed_squares`."""

    pairs: Floats  # (cells,)
    cross: Floats  # (covariates, cells)
    others: Floats  # (covariates, covariates)

    @classmethod
    def none(cls, votes: Rows) -> "_Squares":
        cells, others = votes.models**2, len(votes.covariates)
        return cls(np.zeros(cells), np.zeros((others, cells)), np.zeros((others, others)))

    def add(self, block: _Block, number: Floats) -> None:
        cells = len(self.pairs)
        weighted = block.covariates * number
        np.add(self.pairs, np.bincount(block.cell, number, cells), out=self.pairs)
        for total, row in zip(self.cross, weighted, strict=True):
            total += np.bincount(block.cell, row, cells)
        np.add(self.others, weighted @ block.covariates.T, out=self.others)

    @property
    def matrix(self) -> Floats:
        models = int(len(self.pairs) ** 0.5)
        return summed_squares(self.pairs.reshape(models, models), self.cross.reshape(-1, models, models), self.others)


def numbered(clusters: Codes) -> NDArray[np.int64]:
    """From 0 on without a gap; those of NOBODY have one each."""
    known = clusters != NOBODY
    names, places = np.unique(clusters[known], return_inverse=True)
    result = np.empty(len(clusters), np.int64)
    result[known] = places
    result[~known] = len(names) + np.arange(len(clusters) - len(places))
    return result
