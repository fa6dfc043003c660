"""Counts as the pairs of a board, and back: all that ratings by Bradley-Terry can be computed from again."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastchat.arena.leaderboard.board import DECIMALS, PairRow
from fastchat.ranking.comparisons import Floats, Outcome
from fastchat.ranking.counts import Counts


def pair_rows(counts: Counts) -> Iterator[PairRow]:
    """Of all pairs that met; the counts' models stand in the alphabet's order."""
    met = counts.votes.sum(axis=0)
    one, two = np.nonzero(np.triu(met + met.T, 1))

    def in_rows(of: Floats | NDArray[np.int64]) -> Iterator[tuple[Any, ...]]:
        return map(tuple, of.T.tolist())

    given, swapped = counts.votes[:, one, two], counts.votes[:, two, one]
    worth, worth_swapped = counts.weights[:, one, two], counts.weights[:, two, one]
    left, right, tie, both_bad = Outcome
    columns: list[Any] = [
        [counts.models[at] for at in one.tolist()],
        [counts.models[at] for at in two.tolist()],
        (given + swapped).sum(axis=0).tolist(),
        (worth[left] + worth_swapped[right]).round(DECIMALS).tolist(),
        (worth[right] + worth_swapped[left]).round(DECIMALS).tolist(),
        (worth[tie] + worth_swapped[tie]).round(DECIMALS).tolist(),
        (worth[both_bad] + worth_swapped[both_bad]).round(DECIMALS).tolist(),
        in_rows(given),
        in_rows(swapped),
    ]
    if counts.is_weighted:
        squares = np.concatenate([counts.squares[:, one, two], counts.squares[:, two, one]])
        columns += [in_rows(np.concatenate([worth, worth_swapped])), in_rows(squares)]
    return map(PairRow, *columns)


def counts_of(pairs: Sequence[PairRow]) -> Counts:
    """What `pair_rows` were made from; weights to the digits that a board keeps."""
    models = tuple(sorted({name for pair in pairs for name in (pair.model_a, pair.model_b)}))
    place = {name: at for at, name in enumerate(models)}
    counts = Counts.empty(models)
    for pair in pairs:
        one, two = place[pair.model_a], place[pair.model_b]
        votes = (*pair.given, *pair.swapped)
        for array, cells in (
            (counts.votes, votes),
            (counts.weights, pair.weights or votes),
            (counts.squares, pair.squares or votes),
        ):
            array[:, one, two], array[:, two, one] = cells[:4], cells[4:]
    return counts
