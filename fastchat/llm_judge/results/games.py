"""Verdicts on pairs as the two games they are, and as the one result that FastChat makes of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.records import PairVerdict, Winner
from fastchat.llm_judge.results.estimates import coded
from fastchat.ranking.comparisons import Codes, Comparisons, Outcome, comparisons

BY_HAND = "human"  # in place of a judge's prompt: a person's verdict


@dataclass(frozen=True, slots=True)
class Game:
    """One question to the judge."""

    question_id: QuestionId
    turn: int
    first: str  # the model that stood as A
    second: str
    outcome: Outcome


def is_readable(row: PairVerdict) -> bool:
    """Not FastChat's "error", nor anything else that is no winner."""
    return {row.g1_winner, row.g2_winner} <= {Winner.MODEL_1, Winner.MODEL_2, Winner.TIE}


def agreed(row: PairVerdict) -> Outcome:
    """A model wins only if it wins in both orders; model_1 is the left one."""
    if row.g1_winner != row.g2_winner or row.g1_winner == Winner.TIE:
        return Outcome.TIE
    return Outcome.LEFT if row.g1_winner == Winner.MODEL_1 else Outcome.RIGHT


def is_by_hand(row: PairVerdict) -> bool:
    """A person saw the two answers once, model_1's as A; both winners are that one choice."""
    return row.judge[1] == BY_HAND


def games(rows: Sequence[PairVerdict]) -> Iterator[Game]:
    for row in rows:
        first, second = _outcomes(row)
        yield Game(row.question_id, row.turn, row.model_1, row.model_2, first)
        if not is_by_hand(row):
            yield Game(row.question_id, row.turn, row.model_2, row.model_1, second)


def _outcomes(row: PairVerdict) -> tuple[Outcome, Outcome]:
    """By side, in the first game and in the second, in which the sides are swapped."""
    straight = {Winner.MODEL_1: Outcome.LEFT, Winner.MODEL_2: Outcome.RIGHT, Winner.TIE: Outcome.TIE}
    swapped = {Winner.MODEL_1: Outcome.RIGHT, Winner.MODEL_2: Outcome.LEFT, Winner.TIE: Outcome.TIE}
    return straight[Winner(row.g1_winner)], swapped[Winner(row.g2_winner)]


def results(rows: Sequence[PairVerdict]) -> Comparisons:
    """One comparison a row, as `agreed`."""
    return comparisons([row.model_1 for row in rows], [row.model_2 for row in rows], [agreed(row) for row in rows])


def by_game(played: Sequence[Game]) -> Comparisons:
    """One comparison a game; who stood first is on the left."""
    return comparisons([game.first for game in played], [game.second for game in played], [g.outcome for g in played])


def questions(rows: Sequence[PairVerdict] | Sequence[Game]) -> Codes:
    return np.asarray(coded(row.question_id for row in rows))
