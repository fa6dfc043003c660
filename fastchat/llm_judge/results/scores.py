"""Scores of single answers: means by model, category and turn, and how far the same questions set two models apart."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from fastchat import __version__
from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.records import SingleVerdict
from fastchat.llm_judge.results.estimates import (
    CONFIDENCE,
    Estimate,
    coded,
    estimated,
    mean,
    quantile,
    summed,
    variance,
)
from fastchat.ranking.comparisons import Codes, Floats, Mask
from fastchat.ranking.ranks import rank_sets
from fastchat.ranking.results import Estimates

FAILED = -1  # FastChat's score of a verdict that could not be read
POWER = 0.8


@dataclass(frozen=True, slots=True)
class ModelScore:
    model: str
    score: Estimate
    turns: Mapping[int, Estimate]
    categories: Mapping[str, Estimate]
    verdicts: int
    questions: int
    failed: int
    best_rank: int  # ranks that the questions leave open, for all models at once
    worst_rank: int


@dataclass(frozen=True, slots=True)
class ScoreDifference:
    """Of two models on the questions and turns that both have a score for."""

    model: str
    other: str
    difference: Estimate  # of this pair by itself
    lower: float | None  # of all pairs at once
    upper: float | None
    separated: bool  # for sure, all pairs at once
    detectable: float | None  # what such a set of questions finds in 80 of 100 cases, this pair by itself
    questions: int

    @property
    def better(self) -> str | None:
        """For sure; None: it is open which one is."""
        return (self.model if self.difference.value > 0 else self.other) if self.separated else None

    @property
    def worse(self) -> str | None:
        return (self.other if self.difference.value > 0 else self.model) if self.separated else None


@dataclass(frozen=True, slots=True)
class ScoreBoard:
    models: tuple[ModelScore, ...]  # the best first
    differences: tuple[ScoreDifference, ...]
    critical_value: float | None  # standard errors that a difference of all pairs at once has to exceed
    detectable: float | None  # the middle one of the pairs'
    questions: int


def score_board(verdicts: Sequence[SingleVerdict], categories: Mapping[QuestionId, str]) -> ScoreBoard:
    """
    Raises:
        ValueError: no verdict has a score.
    """
    scored = [row for row in verdicts if row.score != FAILED]
    if not scored:
        raise ValueError("no verdict has a score")
    table = _Table.of(scored)
    critical = table.critical_value
    order = np.argsort(-table.means, kind="stable")
    differences = [
        table.difference(int(high), int(low), critical)
        for at, high in enumerate(order)
        for low in order[at + 1 :]
        if table.has_both(int(high), int(low)).any()
    ]
    found = [difference.detectable for difference in differences if difference.detectable is not None]
    return ScoreBoard(
        models=tuple(_model_score(table.models[at], verdicts, categories, differences, len(order)) for at in order),
        differences=tuple(differences),
        critical_value=critical,
        detectable=float(np.median(found)) if found else None,
        questions=table.number,
    )


def _model_score(
    model: str,
    verdicts: Sequence[SingleVerdict],
    categories: Mapping[QuestionId, str],
    differences: Sequence[ScoreDifference],
    models: int,
) -> ModelScore:
    mine = [row for row in verdicts if row.model == model]
    scored = [row for row in mine if row.score != FAILED]
    turns = sorted({row.turn for row in scored})
    names = sorted({categories[row.question_id] for row in scored if row.question_id in categories})
    return ModelScore(
        model,
        _mean(scored),
        {turn: _mean([row for row in scored if row.turn == turn]) for turn in turns},
        {name: _mean([row for row in scored if categories.get(row.question_id) == name]) for name in names},
        verdicts=len(scored),
        questions=len({row.question_id for row in scored}),
        failed=len(mine) - len(scored),
        best_rank=1 + sum(pair.worse == model for pair in differences),
        worst_rank=models - sum(pair.better == model for pair in differences),
    )


def _mean(scored: Sequence[SingleVerdict]) -> Estimate:
    return mean([row.score for row in scored], coded(row.question_id for row in scored))


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Scores of models (rows) on turns of questions (columns); NaN where there is none."""

    models: tuple[str, ...]
    scores: Floats
    questions: Codes  # of the columns

    @classmethod
    def of(cls, scored: Sequence[SingleVerdict]) -> "_Table":
        models = tuple(sorted({row.model for row in scored}))
        places: dict[tuple[Hashable, int], int] = {}
        for row in scored:
            places.setdefault((row.question_id, row.turn), len(places))
        scores = np.full((len(models), len(places)), np.nan)
        for row in scored:
            scores[models.index(row.model), places[row.question_id, row.turn]] = row.score
        return cls(models, scores, coded(question for question, _ in places))

    @property
    def means(self) -> Floats:
        result: Floats = np.nanmean(self.scores, axis=1)
        return result

    @property
    def number(self) -> int:
        """Of questions."""
        return int(self.questions.max()) + 1

    @property
    def critical_value(self) -> float | None:
        """Of the max-t of `rank_sets`, which is the normal's; as rare a value of Student's t, for few questions."""
        found = rank_sets(self._estimates).critical_value
        if found is None or self.number < 2:
            return None
        # Drawn at random, it could come out below the value for one pair, which it never is.
        return max(float(-student.ppf(ndtr(-found), self.number - 1)), quantile(self.questions))

    @property
    def _estimates(self) -> Estimates:
        """The means as strengths, with what questions that models share do to their errors, for `rank_sets`."""
        has = ~np.isnan(self.scores)
        pulls = np.where(has, self.scores - self.means[:, None], 0.0) / has.sum(axis=1, keepdims=True)
        sums = summed(pulls.T, self.questions)
        size, number = len(self.models), self.number
        centring = np.eye(size) - 1 / size
        covariance = centring @ (sums.T @ sums) @ centring * number / max(number - 1, 1)
        return Estimates(
            models=self.models,
            strengths=centring @ self.means,
            covariance=covariance,
            votes=has.sum(axis=1),
            component=np.zeros(size, np.int32),
            unbounded=np.zeros(size, np.int8),
            method="mean score",
            parameters={"covariance": "clustered", "groups": number},
            digest="",
            version=__version__,
        )

    def has_both(self, model: int, other: int) -> Mask:
        result: Mask = ~np.isnan(self.scores[model] - self.scores[other])
        return result

    def difference(self, model: int, other: int, critical: float | None) -> ScoreDifference:
        both = self.has_both(model, other)
        apart = (self.scores[model] - self.scores[other])[both]
        questions = coded(self.questions[both].tolist())
        number = len(set(questions.tolist()))
        value = float(apart.mean())
        pulls = (apart - value) / len(apart)
        error = math.sqrt(variance(pulls, questions) or 0.0)
        half = (critical or 0.0) * error
        is_known = critical is not None and number > 1
        return ScoreDifference(
            self.models[model],
            self.models[other],
            estimated(value, pulls, questions),
            lower=value - half if is_known else None,
            upper=value + half if is_known else None,
            separated=is_known and abs(value) > half > 0,
            detectable=detectable(error, number) if is_known else None,
            questions=number,
        )


def detectable(error: float, questions: int, power: float = POWER, confidence: float = CONFIDENCE) -> float:
    """The true difference at which an interval that leaves out 0 is found with this power, given the error of the
    difference: error * (t for the confidence + t for the power)."""
    freedom = questions - 1
    return error * float(student.ppf((1 + confidence) / 2, freedom) + student.ppf(power, freedom))
