"""What the style of answers does to verdicts: length, headers, lists, bold, code, each with the others allowed for.

No proof of a bias: an answer with a list may be the better one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fastchat.llm_judge.records import PairVerdict, SingleVerdict
from fastchat.llm_judge.results.estimates import Estimate, coded, estimated
from fastchat.llm_judge.results.games import by_game, games, is_readable, questions
from fastchat.llm_judge.results.lengths import EXPLAINED, left_over
from fastchat.llm_judge.results.pairwise import answers_of, coefficient
from fastchat.llm_judge.results.reading import LENGTH, STYLES, Answered
from fastchat.llm_judge.results.scores import FAILED
from fastchat.ranking.comparisons import Floats
from fastchat.ranking.differences import normalised_difference
from fastchat.ranking.style import fit_style


def score_style_effects(
    verdicts: Sequence[SingleVerdict], styles: Mapping[Answered, Mapping[str, int]]
) -> dict[str, Estimate]:
    """Points that twice as much of it adds (of counts, of one more than there are), of the same model and on the same
    question and turn. What never differs, or what the others explain, is left out."""
    known = [
        (row, styles[answered])
        for row in verdicts
        if row.score != FAILED and (answered := (row.model, row.question_id, row.turn)) in styles
    ]
    if not known:
        return {}
    rows = [row for row, _ in known]
    models, turns = coded(row.model for row in rows), coded((row.question_id, row.turn) for row in rows)
    measured = [[row.score, *(_doublings(name, style) for name in STYLES)] for row, style in known]
    scores, *rest = left_over(np.array(measured), models, turns).T
    columns = _told_apart(dict(zip(STYLES, rest, strict=True)))
    if not columns:
        return {}
    own = np.column_stack(list(columns.values()))
    inverse = np.linalg.inv(own.T @ own)
    slopes = inverse @ (own.T @ scores)
    pulls = (own * (scores - own @ slopes)[:, None]) @ inverse
    asked = coded(row.question_id for row in rows)
    return {name: estimated(float(slopes[at]), pulls[:, at], asked) for at, name in enumerate(columns)}


def _doublings(name: str, style: Mapping[str, int]) -> float:
    return math.log2(max(style[name], 1) if name == LENGTH else 1 + style[name])


def _told_apart(columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """Without those of which models, turns and the ones before leave nothing."""
    kept: dict[str, Floats] = {}
    for name, column in columns.items():
        rest = column
        if kept:
            others = np.column_stack(list(kept.values()))
            rest = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
        if float(rest @ rest) > EXPLAINED * max(len(column), float(column @ column)):
            kept[name] = column
    return kept


def pair_style_effects(
    rows: Sequence[PairVerdict], styles: Mapping[Answered, Mapping[str, int]]
) -> dict[str, Estimate]:
    """Log-odds of winning a game that a standard deviation more of it adds, relative to both answers."""
    played = [game for game in games([row for row in rows if is_readable(row)]) if {*answers_of(game)} <= styles.keys()]
    if not played:
        return {}
    covariates = {}
    for name in STYLES:
        sides = np.array([[styles[answer][name] for answer in answers_of(game)] for game in played], dtype=np.float64)
        if (sides[:, 0] != sides[:, 1]).any():
            covariates[name] = normalised_difference(sides[:, 0], sides[:, 1])
    asked = questions(played)
    fit = fit_style(replace(by_game(played), covariates=covariates), side=True, clusters=asked)
    found = {name: coefficient(fit, name, asked) for name in covariates}
    return {name: effect for name, effect in found.items() if effect is not None}
