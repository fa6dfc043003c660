"""Votes to fit: drawn from known strengths, or by Hypothesis."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from fastchat.ranking.comparisons import Comparisons, Floats, Outcome, comparisons

TIES, BOTH_BAD = 0.2, 0.1

WORTH = {Outcome.LEFT: 1.0, Outcome.RIGHT: 0.0, Outcome.TIE: 0.5, Outcome.BOTH_BAD: 0.5}


def names(number: int) -> tuple[str, ...]:
    return tuple(f"m{at:03}" for at in range(number))


def drawn(models: int, votes: int, seed: int = 0, spread: float = 2.0, *, is_weighted: bool = False) -> Comparisons:
    """Pairs uniformly, strengths over `spread` log-odds."""
    rng = np.random.default_rng(seed)
    strengths = np.linspace(0, spread, models)
    left = rng.integers(models, size=votes)
    right = (left + rng.integers(1, models, size=votes)) % models
    won = rng.random(votes) < 1 / (1 + np.exp(strengths[right] - strengths[left]))
    outcome = np.where(won, Outcome.LEFT, Outcome.RIGHT)
    lot = rng.random(votes)
    outcome = np.where(lot < TIES, Outcome.TIE, outcome)
    outcome = np.where(lot > 1 - BOTH_BAD, Outcome.BOTH_BAD, outcome)
    weight = rng.uniform(0.2, 3, votes) if is_weighted else None
    return Comparisons(
        names(models), left.astype(np.int32), right.astype(np.int32), outcome.astype(np.int8), weight=weight
    )


def of_rows(*rows: tuple[str, str, Outcome], weight: Sequence[float] | None = None) -> Comparisons:
    left, right, outcome = zip(*rows, strict=True)
    return comparisons(left, right, outcome, weight)


def wins(*pairs: str) -> Comparisons:
    """ "a>b" is a vote for a, "a=b" a tie."""
    rows = [(pair[0], pair[2], Outcome.LEFT if pair[1] == ">" else Outcome.TIE) for pair in pairs]
    return of_rows(*rows)


def worth(sample: Comparisons) -> Floats:
    """(n,): to the left model."""
    return np.array([WORTH[Outcome(outcome)] for outcome in sample.outcome])


@st.composite
def votes(draw: st.DrawFn, models: int = 6, most: int = 60, *, is_weighted: bool = False) -> Comparisons:
    """Any votes at all: whoever wins everything, whoever meets nobody."""
    size = draw(st.integers(2, models))
    pair = st.tuples(st.integers(0, size - 1), st.integers(1, size - 1))
    rows = draw(st.lists(st.tuples(pair, st.sampled_from(Outcome)), min_size=1, max_size=most))
    left = np.array([first for (first, _), _ in rows], np.int32)
    right = np.array([(first + further) % size for (first, further), _ in rows], np.int32)
    weights = st.lists(st.floats(0.1, 10), min_size=len(rows), max_size=len(rows))
    return Comparisons(
        names(size),
        left,
        right,
        np.array([outcome for _, outcome in rows], np.int8),
        weight=np.array(draw(weights)) if is_weighted else None,
    )


@st.composite
def well_linked_votes(draw: st.DrawFn, models: int = 6, most: int = 60, *, is_weighted: bool = False) -> Comparisons:
    """Among which there is a finite optimum: with a circle of wins through all models."""
    sample = draw(votes(models, most, is_weighted=is_weighted))
    size = len(sample.models)
    circle = np.arange(size, dtype=np.int32)
    return Comparisons(
        sample.models,
        np.concatenate([sample.left, circle]),
        np.concatenate([sample.right, np.roll(circle, 1)]),
        np.concatenate([sample.outcome, np.full(size, Outcome.LEFT, np.int8)]),
        weight=None if sample.weight is None else np.concatenate([sample.weight, np.ones(size)]),
    )


def repeated(sample: Comparisons, times: int) -> Comparisons:
    return sample.select(np.tile(np.arange(len(sample)), times))


def relabelled(sample: Comparisons, order: Sequence[int]) -> Comparisons:
    """The model with code c has the code order[c], and its name goes with it."""
    place = np.asarray(order, np.int32)
    moved = np.empty(len(place), dtype=object)
    moved[place] = sample.models
    return Comparisons(
        tuple(moved), place[sample.left], place[sample.right], sample.outcome, sample.weight, sample.voter
    )


def swapped(sample: Comparisons, rows: Sequence[bool] | np.ndarray) -> Comparisons:
    """Sides exchanged in these rows, and the outcomes with them."""
    turned = np.asarray(rows, np.bool_)
    mirrored = np.array([Outcome.RIGHT, Outcome.LEFT, Outcome.TIE, Outcome.BOTH_BAD], np.int8)[sample.outcome]
    return Comparisons(
        sample.models,
        np.where(turned, sample.right, sample.left),
        np.where(turned, sample.left, sample.right),
        np.where(turned, mirrored, sample.outcome),
        sample.weight,
        sample.voter,
    )
