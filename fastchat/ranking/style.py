"""Strengths with the style of the answers taken out: Bradley-Terry with covariates (LMSYS, "Does style matter?", 2024).

A vote's log-odds are the difference of two strengths, plus a coefficient times how the two answers differ for each of
length, headers, lists, bold, or whatever else is given.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastchat import __version__
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.comparisons import Codes, Comparisons, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.likelihood import Likelihood
from fastchat.ranking.newton import Derivatives, minimum
from fastchat.ranking.restraint import Restraint
from fastchat.ranking.results import Coefficient, Estimates
from fastchat.ranking.rows import Rows, numbered

METHOD = "bradley-terry-style"
LEFT_SIDE = "left side"  # the name of the coefficient of standing on the left
COVARIATE_RIDGE = 1e-3  # with a hundred votes, it moves a coefficient by less than a thousandth of its error
_REST = 1e-9  # if less than this share of a covariate is its own, the models and the other covariates explain it


def fit_style(
    comparisons: Comparisons,
    *,
    both_bad: BothBad = BothBad.HALF,
    ridge: float = 0.0,
    covariate_ridge: float = COVARIATE_RIDGE,
    side: bool = False,
    clusters: Codes | None = None,
) -> Estimates:
    """Strengths and `coefficients` of most likelihood, with the sandwich of all of them at once.

    Covariates are taken as they are: see `style_differences`. `side` adds one that is 1 in every vote: what standing on
    the left is worth. `ridge`, and the rule where no finite optimum exists, are those of `fit_bradley_terry`;
    `covariate_ridge` / 2 times the sum of squared coefficients is added likewise. FastChat's style control has 0.5
    there, and a `ridge` of 0.5 / ln(10)². `clusters` has a code a vote, of its voter or prompt; votes of one code are
    one draw in the errors, and NOBODY's are a draw each.

    A covariate that the models and the other covariates explain has no coefficient, and a note says so.

    Raises:
        ValueError: as of `fit_bradley_terry`; the ridge of the covariates is not above 0; values of a covariate are no
            finite numbers; there is not one code a vote; "both bad" is an outcome of its own.
    """
    _check(comparisons, both_bad, covariate_ridge, clusters)
    counts = Counts.of(comparisons)
    plain = fit_bradley_terry(counts, both_bad=both_bad, ridge=ridge)
    restraint = Likelihood.of(counts, both_bad, ridge).restraint
    is_used = comparisons.outcome != Outcome.BOTH_BAD if both_bad is BothBad.DROP else None
    votes = comparisons if is_used is None else comparisons.select(is_used)
    if side:
        ones = np.broadcast_to(1.0, votes.left.shape)
        votes = replace(votes, covariates={**votes.covariates, LEFT_SIDE: ones})
    fit = _fit(Rows.of(votes), restraint, covariate_ridge, plain.strengths)
    left_out = fit.explained
    if left_out:
        fit = _fit(fit.votes.without(left_out), restraint, covariate_ridge, plain.strengths)
    groups = None if clusters is None else numbered(clusters if is_used is None else clusters[is_used])
    covariance = restraint.sandwich(fit.curvature, fit.meat(groups), fit.found)
    size = len(comparisons.models)
    errors = np.sqrt(np.diagonal(covariance)[size:])
    return Estimates(
        models=comparisons.models,
        strengths=restraint.centred(fit.found[:size]),
        covariance=covariance[:size, :size],
        votes=plain.votes,
        component=plain.component,
        unbounded=plain.unbounded,
        method=METHOD,
        parameters={
            "both_bad": str(both_bad),
            "ridge": float(ridge),
            "covariate_ridge": float(covariate_ridge),
            "covariates": list(fit.votes.covariates),
            **_described(clusters, groups),
            "notes": [*plain.parameters["notes"], *_notes(left_out)],
        },
        digest=comparisons.digest,
        version=__version__,
        coefficients={
            name: Coefficient(float(estimate), float(error))
            for name, estimate, error in zip(fit.votes.covariates, fit.found[size:], errors, strict=True)
        },
    )


def _check(comparisons: Comparisons, both_bad: BothBad, covariate_ridge: float, clusters: Codes | None) -> None:
    if both_bad is BothBad.OWN:
        raise ValueError("style control takes both-bad votes as ties (half) or leaves them out (drop), not own")
    if not 0 < covariate_ridge < np.inf:
        raise ValueError(f"the ridge of the covariates is {covariate_ridge}; it has to be above 0, if only a little")
    for name, column in comparisons.covariates.items():
        missing = len(column) - np.count_nonzero(np.isfinite(column))
        if missing:
            raise ValueError(f"the covariate {name} is no finite number in {missing} of {len(column)} votes")
    if LEFT_SIDE in comparisons.covariates:
        raise ValueError(f"no covariate can be called {LEFT_SIDE!r}; that is what `side` adds")
    if clusters is not None and clusters.shape != comparisons.left.shape:
        raise ValueError(f"there are {len(clusters)} codes of clusters for {len(comparisons)} comparisons")


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    votes: Rows
    found: Floats  # strengths, then coefficients
    of_votes: Floats  # the curvature of the votes alone
    curvature: Floats  # with all that holds strengths and coefficients

    def meat(self, groups: NDArray[np.int64] | None) -> Floats:
        return self.votes.meat(self.found) if groups is None else self.votes.meat_of(groups, self.found)

    @property
    def explained(self) -> list[str]:
        """Covariates of which nothing is left once those before them and the models are allowed for."""
        models = self.votes.models
        strengths, cross = self.of_votes[:models, :models], self.of_votes[models:, :models]
        whole = self.of_votes[models:, models:]
        rest = whole - cross @ np.linalg.pinv(strengths, hermitian=True) @ cross.T
        names = []
        for at, name in enumerate(self.votes.covariates):
            if rest[at, at] <= _REST * whole[at, at]:
                names.append(name)
            else:
                rest = rest - np.outer(rest[at], rest[at]) / rest[at, at]
        return names


def _fit(votes: Rows, restraint: Restraint, covariate_ridge: float, start: Floats) -> _Fit:
    ridge = np.append(np.zeros(votes.models), np.full(len(votes.covariates), covariate_ridge))

    def held(of_votes: Derivatives, at: Floats) -> Derivatives:
        loss, gradient, curvature = restraint.on(of_votes, at)
        return Derivatives(loss + float(ridge @ at**2) / 2, gradient + ridge * at, curvature + np.diag(ridge))

    begin = np.append(start, np.zeros(len(votes.covariates)))
    found = minimum(lambda at: held(votes.derivatives(at), at), begin, votes.number)
    there = votes.derivatives(found)
    return _Fit(votes, found, there.curvature, held(there, found).curvature)


def _described(clusters: Codes | None, groups: NDArray[np.int64] | None) -> dict[str, Any]:
    if clusters is None or groups is None:
        return {"covariance": "sandwich"}
    digest = hashlib.sha256(np.ascontiguousarray(clusters).data).hexdigest()
    return {"covariance": "clustered", "groups": int(groups.max()) + 1, "groups_digest": digest}


def _notes(left_out: Sequence[str]) -> Iterator[str]:
    if left_out:
        yield (
            f"The votes do not tell what {', '.join(left_out)} is worth: it never differs, or models and other "
            "covariates explain it. It was left out."
        )
