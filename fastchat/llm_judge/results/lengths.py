"""Whether a judge scores longer answers higher, beyond what the model and the question explain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastchat.llm_judge.records import SingleVerdict
from fastchat.llm_judge.results.estimates import Estimate, coded, estimated
from fastchat.llm_judge.results.reading import Answered
from fastchat.llm_judge.results.scores import FAILED
from fastchat.ranking.comparisons import Codes, Floats

EXPLAINED = 1e-9  # of the lengths, if less than this share is left, models and questions explain them


@dataclass(frozen=True, slots=True)
class LengthEffect:
    """Points of score that twice the length adds, of the same model and on the same question and turn.

    It is no proof of a bias: a longer answer may be the better one.
    """

    points: Estimate
    verdicts: int


def score_length_effect(verdicts: Sequence[SingleVerdict], lengths: Mapping[Answered, int]) -> LengthEffect | None:
    """None: the lengths are not known, or tell nothing apart from models and questions."""
    known = [
        (row, length)
        for row in verdicts
        if row.score != FAILED and (length := lengths.get((row.model, row.question_id, row.turn), 0)) > 0
    ]
    if not known:
        return None
    rows = [row for row, _ in known]
    models, turns = coded(row.model for row in rows), coded((row.question_id, row.turn) for row in rows)
    doublings = np.log2([length for _, length in known])
    own = left_over(doublings, models, turns)
    whole = float(np.square(doublings - doublings.mean()).sum())
    square = float(own @ own)
    if square <= EXPLAINED * max(whole, EXPLAINED):
        return None
    score = left_over(np.array([row.score for row in rows], dtype=np.float64), models, turns)
    slope = float(own @ score) / square
    pulls = own * (score - slope * own) / square
    return LengthEffect(estimated(slope, pulls, coded(row.question_id for row in rows)), len(rows))


def left_over(values: Floats, models: Codes, turns: Codes) -> Floats:
    """What a mean of each model and one of each turn leave over; of a column, or of several."""
    of_models = np.bincount(models).astype(np.float64)
    of_turns = np.bincount(turns).astype(np.float64)
    met = np.zeros((len(of_models), len(of_turns)))
    np.add.at(met, (models, turns), 1.0)
    columns = values.reshape(len(values), -1)
    sums = np.stack(
        [np.concatenate([np.bincount(each, column) for each in (models, turns)]) for column in columns.T], 1
    )
    matrix = np.block([[np.diag(of_models), met], [met.T, np.diag(of_turns)]])
    levels = np.linalg.pinv(matrix, hermitian=True) @ sums
    result: Floats = columns - levels[: len(of_models)][models] - levels[len(of_models) :][turns]
    return result.reshape(values.shape)
