"""Counts of votes ─► one category of a board: ratings with intervals and rank sets, and what they rest on.

Needs NumPy and SciPy alone, since the arena's live board is made here as well. The same counts give the same numbers.
"""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.special import ndtri

from fastchat.arena.leaderboard.board import (
    CategoryBoard,
    CoefficientRow,
    FlipRow,
    ModelRow,
    NeighbourRow,
    Value,
)
from fastchat.arena.leaderboard.pairs import pair_rows
from fastchat.core.errors import SetupError
from fastchat.ranking.bootstrap import bootstrap
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.clusters import clustered
from fastchat.ranking.comparisons import Codes, Comparisons, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.intervals import interval
from fastchat.ranking.ranks import DRAWS, RankSets, rank_sets
from fastchat.ranking.results import ELO_PER_LOGIT, Estimates, Scale, Unbounded
from fastchat.ranking.robustness import neighbours, top_flip


class RatingOptions(Value):
    """How votes become ratings; stands in the board's parameters."""

    rating: Literal["bt", "elo"] = "bt"
    ridge: float = Field(0.0, ge=0, allow_inf_nan=False)
    both_bad: BothBad = BothBad.HALF
    confidence: float = Field(0.95, gt=0, lt=1)
    interval: Literal["sandwich", "clustered", "bootstrap"] = "sandwich"
    rounds: int = Field(1000, ge=2)  # of the bootstrap
    seed: int = Field(0, ge=0)
    draws: int = Field(DRAWS, ge=100)  # for the rank sets' critical value
    offset: float = Field(1000.0, allow_inf_nan=False)
    anchor: str | None = None  # the model whose rating is `offset`
    k: float = Field(4.0, gt=0, allow_inf_nan=False)  # of online Elo
    preliminary_below: int = Field(100, ge=0)  # votes

    @property
    def scale(self) -> Scale:
        return Scale(self.offset, self.anchor)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Estimates with the ranks that they leave open, as rows to be shown."""

    estimates: Estimates
    ranks: RankSets
    rows: tuple[ModelRow, ...]  # the best first, component by component


def category_board(
    counts: Counts,
    options: RatingOptions,
    *,
    comparisons: Comparisons | None = None,
    controlled: Estimates | None = None,
    details: bool = True,
) -> CategoryBoard:
    """
    Args:
        comparisons: the same votes as rows, of the models that `rated` gives; online Elo and clusters need them.
        controlled: estimates from the same votes that are controlled for style; they become `models`.
        details: pairs, neighbours and the flip of the top, which take most of the time.

    Raises:
        SetupError: the options ask for something that these votes do not have.
    """
    whole = counts.over(tuple(sorted(_with_votes(counts))))
    used = rated(counts, options)
    weights = whole.weights.sum(axis=(1, 2))
    found: dict[str, Any] = {
        "votes": whole.number,
        "outcomes": {outcome.name.lower(): weights[outcome] for outcome in Outcome},
        "both_bad_share": weights[Outcome.BOTH_BAD] / weights.sum() if whole.number else 0.0,
        "pairs": tuple(pair_rows(whole)) if details else (),
        "digest": whole.digest,
    }
    if not used.number:
        return CategoryBoard(models=(), notes=("There are no votes to rate.",), **found)
    with in_words():
        raw = placed(estimate(used, options, comparisons), used, options)
    shown = placed(controlled, used, options) if controlled else raw
    return CategoryBoard(
        models=shown.rows,
        raw=raw.rows if controlled else None,
        coefficients=coefficient_rows(shown.estimates, options),
        components=_components(shown.rows),
        critical_value=shown.ranks.critical_value,
        neighbours=_neighbours(used, shown, options) if details else (),
        top_flip=_top_flip(used, raw, options) if details else None,
        notes=tuple(_notes(shown, options)),
        **found,
    )


def listed(board: CategoryBoard, unlisted: Collection[str]) -> CategoryBoard:
    """Without the places of models that are not to be ranked; their votes stay among the pairs."""
    if not unlisted:
        return board

    def shown(rows: tuple[ModelRow, ...]) -> tuple[ModelRow, ...]:
        return tuple(row for row in rows if row.name not in unlisted)

    flip = board.top_flip
    return board.model_copy(
        update={
            "models": shown(board.models),
            "raw": None if board.raw is None else shown(board.raw),
            "neighbours": tuple(row for row in board.neighbours if not {row.better, row.worse} & {*unlisted}),
            "top_flip": None if flip and {flip.first, flip.second} & {*unlisted} else flip,
        }
    )


@contextmanager
def in_words() -> Iterator[None]:
    """What the mathematics refuses is said to whoever chose votes and options."""
    try:
        yield
    except ValueError as error:
        raise SetupError(f"These votes cannot be rated like this: {error}.") from None


def rated(counts: Counts, options: RatingOptions) -> Counts:
    """What ratings are made of: without outcomes that are dropped, of the models that are left, by name."""
    used = counts.without(Outcome.BOTH_BAD) if options.both_bad is BothBad.DROP else counts
    return used.over(tuple(sorted(_with_votes(used))))


def rated_rows(comparisons: Comparisons) -> Comparisons:
    """The same rows, of the models that have any."""
    size = len(comparisons.models)
    there = np.bincount(comparisons.left, minlength=size) + np.bincount(comparisons.right, minlength=size) > 0
    if there.all():
        return comparisons
    place = np.cumsum(there, dtype=np.int32) - 1
    return replace(
        comparisons,
        models=tuple(name for name, is_there in zip(comparisons.models, there, strict=True) if is_there),
        left=place[comparisons.left],
        right=place[comparisons.right],
    )


def _with_votes(counts: Counts) -> list[str]:
    return [name for name, votes in zip(counts.models, counts.votes_of, strict=True) if votes]


def estimate(counts: Counts, options: RatingOptions, comparisons: Comparisons | None = None) -> Estimates:
    """Without regard to style.

    Raises:
        SetupError: the options need rows, or voters, which are not there.
    """
    if options.rating == "elo":
        return _online_elo(comparisons, options)
    if options.interval == "bootstrap":
        return bootstrap(
            counts, both_bad=options.both_bad, ridge=options.ridge, rounds=options.rounds, seed=options.seed
        )
    found = fit_bradley_terry(counts, both_bad=options.both_bad, ridge=options.ridge)
    if options.interval == "sandwich":
        return found
    if comparisons is None:
        raise SetupError("Errors that allow for voters cannot be computed from counts. Use sandwich or bootstrap.")
    return clustered(found, comparisons, voters_of(comparisons), both_bad=options.both_bad)


def voters_of(comparisons: Comparisons) -> Codes:
    """
    Raises:
        SetupError: nobody knows who voted.
    """
    if comparisons.voter is None:
        raise SetupError(
            "--interval clustered: the votes have no column 'voter'. Name the one that tells voters apart, as in "
            "--columns voter=user_id, or choose sandwich or bootstrap."
        )
    return comparisons.voter


def _online_elo(comparisons: Comparisons | None, options: RatingOptions) -> Estimates:
    from fastchat.ranking.elo import bootstrap_elo

    if comparisons is None:
        raise SetupError("Online Elo follows votes in their order, so it cannot be computed from counts. Use bt.")
    return bootstrap_elo(
        comparisons,
        k=options.k,
        both_bad=options.both_bad,
        by_time=has_times(comparisons),
        rounds=options.rounds,
        seed=options.seed,
    )


def has_times(comparisons: Comparisons) -> bool:
    """Whether each vote has one, to be put in order by."""
    return comparisons.time is not None and bool(np.isfinite(comparisons.time).all())


def placed(estimates: Estimates, counts: Counts, options: RatingOptions) -> Placed:
    draws = max(options.draws, math.ceil(10 / (1 - options.confidence)))  # some have to lie beyond the quantile
    ranks = rank_sets(estimates, options.confidence, draws=draws, seed=options.seed)
    ratings = options.scale.ratings(estimates)
    low, high = (
        ratings + ELO_PER_LOGIT * (bound - estimates.strengths) for bound in interval(estimates, options.confidence)
    )
    rates = _win_rates(counts)
    rows = [
        ModelRow(
            name=name,
            rating=ratings[at],
            lower=low[at],
            upper=high[at],
            rank_lower=int(ranks.lower[at]),
            rank_upper=int(ranks.upper[at]),
            votes=int(estimates.votes[at]),
            win_rate=rates[name],
            tier=int(ranks.tiers[at]),
            component=int(estimates.component[at]),
            unbounded=_SIDES.get(int(estimates.unbounded[at])),
            preliminary=bool(estimates.votes[at] < options.preliminary_below),
        )
        for at, name in enumerate(estimates.models)
    ]
    rows.sort(key=lambda row: (row.component, -row.rating, row.name))
    return Placed(estimates, ranks, tuple(rows))


_SIDES: dict[int, Literal["above", "below"]] = {Unbounded.ABOVE: "above", Unbounded.BELOW: "below"}


def _win_rates(counts: Counts) -> dict[str, float]:
    """Wins, and half of ties and both-bad, of the votes of each."""
    of_left = counts.weights[Outcome.LEFT] + (counts.weights[Outcome.TIE] + counts.weights[Outcome.BOTH_BAD]) / 2
    by_pair = counts.weights.sum(axis=0)
    won = of_left.sum(axis=1) + (by_pair - of_left).sum(axis=0)
    return dict(zip(counts.models, won / (by_pair.sum(axis=1) + by_pair.sum(axis=0)), strict=True))


def coefficient_rows(estimates: Estimates, options: RatingOptions) -> tuple[CoefficientRow, ...]:
    wide = float(ndtri((1 + options.confidence) / 2))
    return tuple(
        CoefficientRow(
            name=name,
            estimate=ELO_PER_LOGIT * estimate,
            lower=ELO_PER_LOGIT * (estimate - wide * error),
            upper=ELO_PER_LOGIT * (estimate + wide * error),
        )
        for name, (estimate, error) in estimates.coefficients.items()
    )


def _components(rows: tuple[ModelRow, ...]) -> tuple[tuple[str, ...], ...]:
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(row.component, []).append(row.name)
    return tuple(map(tuple, found.values()))


def _notes(shown: Placed, options: RatingOptions) -> Iterator[str]:
    yield from shown.estimates.parameters.get("notes", ())
    if options.rating == "elo" and options.interval != "bootstrap":
        yield "Elo's intervals are those of a bootstrap: one pass through the votes has none."
    if shown.estimates.parameters.get("order") == "given":
        yield "Not every vote has a time, so Elo takes all of them in the order in which they were given."
    if options.anchor and options.anchor not in shown.estimates.models:
        yield f"{options.anchor}, the anchor, has no votes here; the mean rating is {options.offset:g} instead."


def _neighbours(counts: Counts, shown: Placed, options: RatingOptions) -> tuple[NeighbourRow, ...]:
    return tuple(
        NeighbourRow(
            better=row.better,
            worse=row.worse,
            difference=ELO_PER_LOGIT * row.difference,
            error=ELO_PER_LOGIT * row.error,
            probability=row.probability,
            separated=row.separated,
            votes_needed=row.votes_needed,
        )
        for row in neighbours(counts, shown.estimates, shown.ranks, both_bad=options.both_bad)
    )


def _top_flip(counts: Counts, raw: Placed, options: RatingOptions) -> FlipRow | None:
    if options.rating == "elo" or options.both_bad is BothBad.OWN:
        return None
    found = top_flip(counts, raw.estimates, both_bad=options.both_bad, ridge=options.ridge)
    return FlipRow(first=found.first, second=found.second, votes=found.votes, share=found.share) if found else None
