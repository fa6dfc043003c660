"""Votes one after the other, for ratings that change with every vote: their order counts, and the last count most."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from fastchat import __version__
from fastchat.ranking.bradley_terry import check
from fastchat.ranking.comparisons import Comparisons, Floats, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.likelihood import Likelihood, used
from fastchat.ranking.results import Estimates, Unbounded

_RESULT = np.array([1.0, -1.0, 0.0, 0.0])  # by Outcome

# Left, right, the result (1: left won, -1: right won, 0: neither) and the weight. No class: to build one for each of
# millions of votes would take longer than to rate them.
Game: TypeAlias = tuple[int, int, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Games:
    comparisons: Comparisons
    both_bad: BothBad
    by_time: bool  # in the order of time, equal times as they stand; else all as they stand

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: there are no votes, they have no time to be put in order by, or "both bad" is an outcome of its
                own, of which these ratings know nothing.
        """
        if self.both_bad is BothBad.OWN:
            raise ValueError("ratings kept vote by vote take both-bad as a tie (half) or leave it out (drop), not own")
        if self.by_time and self.comparisons.time is None:
            raise ValueError("the votes have no time to be put in order by; give them one, or take them as they stand")
        check(Counts.of(self.comparisons), self.both_bad, ridge=0.0)

    def __iter__(self) -> Iterator[Game]:
        votes = self.comparisons
        if self.both_bad is BothBad.DROP:
            votes = votes.select(votes.outcome != Outcome.BOTH_BAD)
        if self.by_time and votes.time is not None:
            votes = votes.select(np.argsort(votes.time, kind="stable"))
        weight = np.ones(len(votes)) if votes.weight is None else votes.weight
        result = _RESULT[votes.outcome]
        return zip(votes.left.tolist(), votes.right.tolist(), result.tolist(), weight.tolist(), strict=True)

    def estimates(self, method: str, strengths: Floats, covariance: Floats, parameters: dict[str, Any]) -> Estimates:
        """Centred by component. None is without a bound, as a rating vote by vote always stops somewhere."""
        counts = Counts.of(self.comparisons)
        component = Likelihood.of(counts, self.both_bad, ridge=1.0).restraint.component
        together = component[:, None] == component
        centring = np.eye(len(component)) - together / together.sum(axis=1)
        return Estimates(
            models=counts.models,
            strengths=centring @ strengths,
            covariance=centring @ covariance @ centring * together,
            votes=used(counts, self.both_bad).votes_of,
            component=component,
            unbounded=np.full(len(component), Unbounded.NO, np.int8),
            method=method,
            parameters={
                "both_bad": str(self.both_bad),
                "order": "time" if self.by_time else "given",
                **parameters,
                "notes": [],
            },
            digest=self.comparisons.digest,
            version=__version__,
        )
