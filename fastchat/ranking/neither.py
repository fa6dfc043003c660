"""Both-bad votes as an outcome of their own: Luce's choice among the left, the right and neither.

Of strengths a and b, left, right and neither are chosen as exp(a) to exp(b) to 1. So strengths have a place beside
"neither", whose strength is 0: whether models are any good, which comparing them with each other never tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, log_expit

from fastchat import __version__
from fastchat.ranking.bradley_terry import check
from fastchat.ranking.comparisons import Codes, Floats, Mask, Outcome
from fastchat.ranking.counts import BothBad, Counts
from fastchat.ranking.graph import components, is_one_way, members_of, unbounded
from fastchat.ranking.likelihood import fold
from fastchat.ranking.newton import Derivatives, minimum
from fastchat.ranking.results import Estimates

METHOD = "luce-with-neither"


def fit_with_neither(counts: Counts, *, ridge: float = 0.0) -> Estimates:
    """Strengths of most likelihood with the sandwich's errors; a tie is half a choice of each of the two.

    Strengths are centred like all others. `parameters["location"]` has, for each component, the strength of its mean
    beside "neither", and its standard error. `ridge` / 2 times the sum of squares of strengths beside "neither" is
    added. Without one, a finite optimum exists for a component if its models and "neither" all reach each other along
    choices; if not, each of its models is given one tie with "neither" alone, half of it chosen and half not.

    Raises:
        ValueError: there is no vote, or the ridge is no number from 0 on.
    """
    check(counts, BothBad.OWN, ridge)
    choices = _Choices.of(counts.weights)
    component = components(choices.over + choices.neither, counts.votes_of)
    is_held = np.zeros(len(component), np.bool_)
    signs = np.zeros(len(component), np.int8)
    for members in members_of(component):
        graph = choices.graph(members)
        alone = np.zeros(len(graph), np.int32)
        is_held[members] = ridge == 0 and is_one_way(graph, alone).any()
        signs[members] = unbounded(graph, alone)[:-1]
    likelihood = _Likelihood(choices, is_held, ridge)
    beside = minimum(likelihood.at, np.zeros(len(component)), float(counts.weights.sum()))
    covariance = likelihood.covariance(beside, _Choices.of(counts.squares))
    mean = (component == np.arange(component.max() + 1)[:, None]).astype(np.float64)
    mean /= mean.sum(axis=1, keepdims=True)  # (components, models)
    centring = np.eye(len(component)) - mean[component]
    location, variance = mean @ beside, np.maximum(np.diagonal(mean @ covariance @ mean.T), 0.0)
    together = component[:, None] == component
    centred = centring @ covariance @ centring.T * together
    np.fill_diagonal(centred, np.maximum(np.diagonal(centred), 0.0))
    return Estimates(
        models=counts.models,
        strengths=centring @ beside,
        covariance=centred,
        votes=counts.votes_of,
        component=component,
        unbounded=signs,
        method=METHOD,
        parameters={
            "both_bad": str(BothBad.OWN),
            "ridge": float(ridge),
            "covariance": "sandwich",
            "location": [
                {"estimate": float(estimate), "error": float(error)}
                for estimate, error in zip(location, np.sqrt(variance), strict=True)
            ],
            "notes": list(_notes(component, is_held & (counts.votes_of > 0), choices)),
        },
        digest=counts.digest,
        version=__version__,
    )


class _Choices(NamedTuple):
    """Votes without their sides."""

    wins: Floats  # (models, models): of the row's model against the column's
    ties: Floats  # (models, models): symmetric, so each stands in it twice
    neither: Floats  # (models, models): likewise

    @classmethod
    def of(cls, votes: Floats) -> "_Choices":
        bad = votes[Outcome.BOTH_BAD]
        return cls(*fold(votes, BothBad.DROP), bad + bad.T)

    @property
    def over(self) -> Floats:
        """How often the row's model was chosen in votes against the column's."""
        return self.wins + self.ties / 2

    def graph(self, members: NDArray[np.int64]) -> Floats:
        """Who was chosen over whom: of these models, and "neither" as the last."""
        inside = np.ix_(members, members)
        over, neither = self.over[inside], self.neither[inside]
        return np.block([[over, over.sum(axis=1)[:, None]], [neither.sum(axis=0), np.zeros(1)]])


@dataclass(frozen=True, slots=True, eq=False)
class _Likelihood:
    """Of strengths beside "neither"."""

    choices: _Choices
    is_held: Mask
    ridge: float

    def at(self, strengths: Floats) -> Derivatives:
        log_chance, log_neither = _log_chances(strengths)
        chance, won, over, neither = np.exp(log_chance), expit(strengths), self.choices.over, self.choices.neither
        loss = -np.vdot(over, log_chance) - np.vdot(neither, log_neither) / 2
        loss += self.ridge / 2 * (strengths @ strengths) - self.is_held @ (log_expit(strengths) - strengths / 2)
        votes, missed = over + over.T + neither, -np.expm1(log_chance)
        gradient = ((votes - over) * chance - over * missed).sum(axis=1)
        gradient += self.ridge * strengths + self.is_held * (won - 0.5)
        own = (votes * chance * missed).sum(axis=1) + self.ridge + self.is_held * won * (1 - won)
        return Derivatives(float(loss), gradient, np.diag(own) - votes * chance * chance.T)

    def covariance(self, strengths: Floats, squares: _Choices) -> Floats:
        """The sandwich. An imagined tie counts in it as one vote whose outcome nobody knows, the ridge has no part."""
        chance, won = np.exp(_log_chances(strengths)[0]), expit(strengths)
        other, (wins, ties, neither) = chance.T, squares
        own = wins * (1 - chance) ** 2 + wins.T * chance**2 + ties * (0.5 - chance) ** 2 + neither * chance**2
        lost = wins * (1 - chance) * other
        cross = ties * (0.5 - chance) * (0.5 - other) + neither * chance * other - lost - lost.T
        filling = np.diag(own.sum(axis=1) + self.is_held * (won**2 + (1 - won) ** 2) / 2) + cross
        bread = cho_factor(self.at(strengths).curvature)
        result: Floats = cho_solve(bread, cho_solve(bread, filling).T)
        return (result + result.T) / 2


def _log_chances(strengths: Floats) -> tuple[Floats, Floats]:
    """(models, models) each: that the row's model is chosen in a vote against the column's, and that neither is."""
    # The others' odds against the row's model: what is next to nothing keeps its digits.
    others = np.logaddexp(strengths - strengths[:, None], -strengths[:, None])
    return -np.logaddexp(others, 0.0), -np.logaddexp(np.logaddexp(strengths[:, None], strengths), 0.0)


def _notes(component: Codes, is_held: Mask, choices: _Choices) -> Iterator[str]:
    groups = len(np.unique(component[(choices.over + choices.over.T + choices.neither).any(axis=1)]))
    if groups > 1:
        yield f"The models are {groups} groups without a vote between them; ratings compare within a group only."
    if not choices.neither.any():
        yield "No vote says that both are bad, so the votes set no bound to how far models are above that."
    if is_held.any():
        yield (
            "Between some models, or them and neither of two, all choices go one way, so that no finite strengths fit "
            f"best. Each of the {is_held.sum()} models of their group was given one tie with neither."
        )
