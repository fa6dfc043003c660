"""Several judges as one: the mean of their scores, the majority of their games, or what Dawid and Skene infer of them.

Only what all judges have judged is combined: an average must not depend on who was there. What comes out are rows like
any judge's, so that whatever reads verdicts reads these too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fastchat.core.errors import SetupError
from fastchat.llm_judge.matches import Key, judged, key_of
from fastchat.llm_judge.records import PairVerdict, SingleVerdict, Winner

V = TypeVar("V", SingleVerdict, PairVerdict)
# By the side that is truly better and the side a judge named: A, B, neither.
_SIDES = 3
_SWAPPED = np.array([1, 0, 2])
_IN_GAME_1 = {Winner.MODEL_1: 0, Winner.MODEL_2: 1, Winner.TIE: 2}
_WINNERS = tuple(_IN_GAME_1)
_PRIOR = 0.5  # games seen before the first, of each kind: a judge with few is not thought infallible


@dataclass(frozen=True, slots=True)
class Trust:
    """What Dawid-Skene found. `named[judge][true side, named side]` are shares; a row sums to one.

    Off the diagonal stands how a judge errs: where it names A although B is better more often than the reverse, it
    favours the first.
    """

    verdicts: Sequence[PairVerdict]
    probabilities: NDArray[np.float64]  # of model_1, model_2, tie, for each verdict
    named: Mapping[str, NDArray[np.float64]]


def mean(rows: Iterable[SingleVerdict]) -> list[SingleVerdict]:
    """
    Raises:
        SetupError: fewer than two judges.
    """
    matches, name = _by_match(rows, "mean")
    return [
        group[0].model_copy(
            update={
                "judge": (name, group[0].judge[1]),
                "user_prompt": "",
                "judgment": _quoted((row.judge[0], row.judgment) for row in group),
                "score": fmean(row.score for row in group),
                "tstamp": max(row.tstamp for row in group),
            }
        )
        for group in matches
    ]


def majority(rows: Iterable[PairVerdict]) -> list[PairVerdict]:
    """Game by game; without a majority it is a tie.

    Raises:
        SetupError: fewer than two judges.
    """
    matches, name = _by_match(rows, "majority")
    return [
        _combined(group, name, _most_named(row.g1_winner for row in group), _most_named(row.g2_winner for row in group))
        for group in map(_facing_alike, matches)
    ]


def dawid_skene(rows: Iterable[PairVerdict], *, steps: int = 1000, tolerance: float = 1e-6) -> Trust:
    """What is true of each match and how each judge errs, found together: judges whom the others bear out weigh more.

    Both games of a match have the same truth, seen from the other side; so a judge that favours a side is seen through.

    Raises:
        SetupError: fewer than two judges.
    """
    matches, name = _by_match(rows, "dawid-skene")
    matches = [_facing_alike(group) for group in matches]
    judges = [row.judge[0] for row in matches[0]]
    # Shape (matches, judges, games): the side that was named; in the second game model_1 stood as B.
    named = np.array([[_named_sides(row) for row in group] for group in matches])
    truth = _first_guess(named)
    for _ in range(steps):
        errs, common = _maximise(named, truth)
        before, truth = truth, _expect(named, errs, common)
        if np.abs(truth - before).max() < tolerance:
            break
    found = [
        _combined(group, name, winner, winner)
        for group, winner in zip(matches, (_WINNERS[side] for side in truth.argmax(axis=1)), strict=True)
    ]
    return Trust(found, truth, {judge: errs[number] for number, judge in enumerate(judges)})


def _first_guess(named: NDArray[np.int64]) -> NDArray[np.float64]:
    """The shares of votes, with the second game seen from the side of the first."""
    votes = np.eye(_SIDES)[named[:, :, 0]] + np.eye(_SIDES)[_SWAPPED[named[:, :, 1]]]
    shares: NDArray[np.float64] = votes.mean(axis=1) / 2
    return shares


def _maximise(named: NDArray[np.int64], truth: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How each judge errs, shape (judges, true side, named side), and how common each truth is."""
    first, second = np.eye(_SIDES)[named[:, :, 0]], np.eye(_SIDES)[named[:, :, 1]]
    seen = np.einsum("mt,mjs->jts", truth, first) + np.einsum("mt,mjs->jts", truth[:, _SWAPPED], second) + _PRIOR
    return seen / seen.sum(axis=2, keepdims=True), (truth.sum(axis=0) + _PRIOR) / (len(truth) + _SIDES * _PRIOR)


def _expect(named: NDArray[np.int64], errs: NDArray[np.float64], common: NDArray[np.float64]) -> NDArray[np.float64]:
    judges = np.arange(errs.shape[0])
    likely = np.log(errs).transpose(0, 2, 1)  # (judges, named side, true side)
    weights = likely[judges, named[:, :, 0]] + likely[judges, named[:, :, 1]][:, :, _SWAPPED]
    odds = np.log(common) + weights.sum(axis=1)
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    truth: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return truth


def _named_sides(row: PairVerdict) -> tuple[int, int]:
    return _IN_GAME_1[Winner(row.g1_winner)], int(_SWAPPED[_IN_GAME_1[Winner(row.g2_winner)]])


def _by_match(rows: Iterable[V], how: str) -> tuple[list[list[V]], str]:
    """The verdicts on each match that all judges have judged, and the judges' common name."""
    matches: dict[Key, dict[str, V]] = defaultdict(dict)
    for row in rows:
        if judged([row]):
            matches[key_of(row)._replace(judge="", prompt="")][row.judge[0]] = row
    judges = sorted({judge for group in matches.values() for judge in group})
    if len(judges) < 2:
        raise SetupError(f"{how} takes several judges; there are verdicts of: {', '.join(judges) or 'none'}.")
    whole = [[group[judge] for judge in judges] for group in matches.values() if len(group) == len(judges)]
    if not whole:
        raise SetupError(f"{how}: there is no match that all of {', '.join(judges)} have judged.")
    return whole, f"{how}({', '.join(judges)})"


def _facing_alike(group: Sequence[PairVerdict]) -> list[PairVerdict]:
    """With the models in the order in which the first judge had them."""
    return [row if row.model_1 == group[0].model_1 else _turned(row) for row in group]


def _turned(row: PairVerdict) -> PairVerdict:
    """The same verdict with the models exchanged: what was the second game is the first then."""
    other = {Winner.MODEL_1: Winner.MODEL_2, Winner.MODEL_2: Winner.MODEL_1}
    return row.model_copy(
        update={
            "model_1": row.model_2,
            "model_2": row.model_1,
            "g1_winner": other.get(Winner(row.g2_winner), row.g2_winner),
            "g2_winner": other.get(Winner(row.g1_winner), row.g1_winner),
            "g1_user_prompt": row.g2_user_prompt,
            "g2_user_prompt": row.g1_user_prompt,
            "g1_judgment": row.g2_judgment,
            "g2_judgment": row.g1_judgment,
        }
    )


def _combined(group: Sequence[PairVerdict], name: str, g1_winner: str, g2_winner: str) -> PairVerdict:
    return group[0].model_copy(
        update={
            "judge": (name, group[0].judge[1]),
            "g1_winner": g1_winner,
            "g2_winner": g2_winner,
            "g1_user_prompt": "",
            "g2_user_prompt": "",
            "g1_judgment": _quoted((row.judge[0], row.g1_judgment) for row in group),
            "g2_judgment": _quoted((row.judge[0], row.g2_judgment) for row in group),
            "tstamp": max(row.tstamp for row in group),
        }
    )


def _most_named(winners: Iterable[str]) -> str:
    counts = Counter(winners)
    winner, count = counts.most_common(1)[0]
    return winner if 2 * count > counts.total() else Winner.TIE


def _quoted(said: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"{judge}: {judgment}" for judge, judgment in said)
