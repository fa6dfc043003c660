"""What moves votes without being the model: a row for each such thing that the votes know of, with and without
correction for it.

Each is fitted beside the models' strengths, one at a time, with robust errors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from fastchat.arena.leaderboard.board import BiasRow, ModelFacts
from fastchat.arena.leaderboard.rating import RatingOptions, in_words
from fastchat.arena.leaderboard.style import figures
from fastchat.arena.leaderboard.votes import VoteTable
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Comparisons, Floats, Mask
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.differences import normalised_difference
from fastchat.ranking.results import ELO_PER_LOGIT, Estimates
from fastchat.ranking.style import LEFT_SIDE, fit_style

_SPREAD = "a standard deviation of the relative difference"


@dataclass(frozen=True, slots=True, eq=False)
class _Suspect:
    name: str
    unit: str
    values: Floats | None = None  # (votes,) of the covariate; None: the left side itself
    points: float = ELO_PER_LOGIT  # for one of the coefficient

    @property
    def coefficient(self) -> str:
        return LEFT_SIDE if self.values is None else self.name


def bias_rows(
    votes: VoteTable, comparisons: Comparisons, options: RatingOptions, facts: Mapping[str, ModelFacts]
) -> Iterator[BiasRow]:
    """`comparisons` are the rows of `votes`, of models that all have votes."""
    if options.both_bad is BothBad.OWN:
        return
    with in_words():
        plain = fit_bradley_terry(Counts.of(comparisons), both_bad=options.both_bad, ridge=options.ridge)
        for suspect in _suspects(votes, comparisons, plain, facts):
            yield from _row(suspect, comparisons, plain, options)


def _suspects(
    votes: VoteTable, comparisons: Comparisons, plain: Estimates, facts: Mapping[str, ModelFacts]
) -> Iterator[_Suspect]:
    yield _Suspect("left side", "standing on the left")
    for name, figure in (("length", "tokens"), ("speed", "tokens_per_s"), ("waiting", "first_token_s")):
        if votes.has(f"{figure}_a", f"{figure}_b"):
            left, right = figures(votes, f"{figure}_a"), figures(votes, f"{figure}_b")
            yield _Suspect(name, _SPREAD, normalised_difference(left, right))
    same = _same_organization(comparisons, facts)
    if same.any():
        # Whether the two are told apart more, or less, than their strengths say.
        difference = plain.strengths[comparisons.left] - plain.strengths[comparisons.right]
        unit = "100 points between two models of one organisation"
        yield _Suspect("same organisation", unit, np.where(same, difference, 0.0), points=100.0)


def _same_organization(comparisons: Comparisons, facts: Mapping[str, ModelFacts]) -> Mask:
    known = [facts[name].organization if name in facts else "" for name in comparisons.models]
    organizations = np.array(known, dtype=np.str_)
    left, right = organizations[comparisons.left], organizations[comparisons.right]
    return np.asarray((left == right) & (left != ""))


def _row(suspect: _Suspect, comparisons: Comparisons, plain: Estimates, options: RatingOptions) -> Iterator[BiasRow]:
    """None if the votes cannot tell it from the models."""
    covariates = {} if suspect.values is None else {suspect.name: suspect.values}
    fitted = fit_style(
        replace(comparisons, covariates=covariates),
        both_bad=options.both_bad,
        ridge=options.ridge,
        side=suspect.values is None,
    )
    if suspect.coefficient not in fitted.coefficients:
        return
    estimate, error = fitted.coefficients[suspect.coefficient]
    half = float(ndtri((1 + options.confidence) / 2)) * error
    change = ELO_PER_LOGIT * np.abs(fitted.strengths - plain.strengths)
    yield BiasRow(
        name=suspect.name,
        unit=suspect.unit,
        estimate=suspect.points * estimate,
        lower=suspect.points * (estimate - half),
        upper=suspect.points * (estimate + half),
        largest_change=float(change.max()),
        order_changes=_order_changes(plain, fitted),
    )


def _order_changes(one: Estimates, other: Estimates) -> int:
    """Pairs of one component that stand the other way round."""
    before, after = (np.sign(of.strengths[:, None] - of.strengths) for of in (one, other))
    comparable = one.component[:, None] == one.component
    return int(((before * after < 0) & comparable).sum()) // 2
