"""Rankings of several answers: mean ranks, first places, strengths by Bradley and Terry, and what the order does.

Each list was ranked twice, the second time in the reverse order, so that of each two answers either was once before the
other: a judge who favours a place favours nobody. (Strengths by Plackett and Luce would not have that: to them a list
and its reverse are news, good ones for whoever is in the middle of both.) A rank among five is not one among six, so
lists of other models have a board of their own.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fastchat.llm_judge.records import ListVerdict, Ranking
from fastchat.llm_judge.results.estimates import Estimate, coded, estimated, mean, share
from fastchat.llm_judge.results.pairwise import Rating, rating_board
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.clusters import clustered
from fastchat.ranking.comparisons import Codes, Outcome, comparisons
from fastchat.ranking.counts import Counts
from fastchat.ranking.results import Estimates


@dataclass(frozen=True, slots=True)
class ModelRank:
    model: str
    mean_rank: Estimate  # 1 is the best; who share places have the mean of these
    first: Estimate  # share of lists in which it came first; who share the first place have their part of it


@dataclass(frozen=True, slots=True)
class ListBoard:
    """Of lists of the same models."""

    models: tuple[ModelRank, ...]  # the best first
    ratings: tuple[Rating, ...]  # Bradley-Terry, of all pairs of answers in both games
    notes: tuple[str, ...]  # of the fit
    consistent: Estimate  # share of pairs of answers whose order is the same in both games
    order_effect: Estimate  # ranks that an answer loses when it stands last and not first
    verdicts: int
    questions: int


def list_boards(rows: Sequence[ListVerdict]) -> tuple[ListBoard, ...]:
    """The one of most verdicts first."""
    by_models: dict[tuple[str, ...], list[ListVerdict]] = defaultdict(list)
    for row in rows:
        by_models[tuple(sorted(row.models))].append(row)
    return tuple(sorted(map(_board, by_models.values()), key=lambda board: -board.verdicts))


def ranks(ranking: Ranking) -> Mapping[str, float]:
    """Who share places have the mean of these."""
    found: dict[str, float] = {}
    for place in ranking:
        found |= dict.fromkeys(place, len(found) + (1 + len(place)) / 2)
    return found


def _board(rows: Sequence[ListVerdict]) -> ListBoard:
    asked = coded(row.question_id for row in rows)
    fit = _fit(rows, asked)
    both = [(ranks(row.g1_ranking), ranks(row.g2_ranking)) for row in rows]
    models = [
        ModelRank(
            model,
            mean([(first[model] + second[model]) / 2 for first, second in both], asked),
            share([(_first(row.g1_ranking, model) + _first(row.g2_ranking, model)) / 2 for row in rows], asked),
        )
        for model in sorted(rows[0].models)
    ]
    return ListBoard(
        models=tuple(sorted(models, key=lambda each: each.mean_rank.value)),
        ratings=rating_board(fit, asked),
        notes=tuple(fit.parameters["notes"]),
        consistent=_consistent(both, asked),
        order_effect=_order_effect(rows, asked),
        verdicts=len(rows),
        questions=len(np.unique(asked)),
    )


def _first(ranking: Ranking, model: str) -> float:
    best = ranking[0]
    return 1 / len(best) if model in best else 0.0


def _consistent(both: Sequence[tuple[Mapping[str, float], Mapping[str, float]]], asked: Codes) -> Estimate:
    def alike(first: Mapping[str, float], second: Mapping[str, float]) -> float:
        pairs = list(combinations(first, 2))
        same = [np.sign(first[a] - first[b]) == np.sign(second[a] - second[b]) for a, b in pairs]
        return float(np.mean(same))

    return share([alike(first, second) for first, second in both], asked)


def _order_effect(rows: Sequence[ListVerdict], asked: Codes) -> Estimate:
    """The slope of ranks over places, from the two games of the same answer, times all places but one."""
    most = len(rows[0].models) - 1
    moved = np.array([most - 2 * at for at in range(most + 1)], dtype=np.float64)  # places back, in the second game
    lost = np.array([_lost(row) for row in rows])
    slope = float((lost @ moved).mean() / (moved @ moved))
    pulls = (lost - slope * moved) @ moved / (moved @ moved) / len(rows)
    return estimated(slope * most, pulls * most, asked)


def _lost(row: ListVerdict) -> list[float]:
    """By place in the first game: ranks that each answer lost in the second."""
    before, after = ranks(row.g1_ranking), ranks(row.g2_ranking)
    return [after[model] - before[model] for model in row.models]


def _fit(rows: Sequence[ListVerdict], asked: Codes) -> Estimates:
    """A list is as many games as it has pairs, which of lists by Plackett's and Luce's model gives the same strengths
    (Azari Soufiani et al. 2013). What belongs to a question is one draw."""
    met = [
        (a, b, _outcome(standing[a], standing[b]), question)
        for row, question in zip(rows, asked.tolist(), strict=True)
        for standing in (ranks(row.g1_ranking), ranks(row.g2_ranking))
        for a, b in combinations(sorted(row.models), 2)
    ]
    left, right, outcomes, questions = zip(*met, strict=True)
    votes = comparisons(left, right, outcomes)
    return clustered(fit_bradley_terry(Counts.of(votes)), votes, np.array(questions, dtype=asked.dtype))


def _outcome(rank: float, other: float) -> Outcome:
    return Outcome.TIE if rank == other else Outcome.LEFT if rank < other else Outcome.RIGHT
