"""Verdicts on pairs: FastChat's table of wins, what the order of two answers does to a verdict, and a board of all."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fastchat.llm_judge.records import PairVerdict, Winner
from fastchat.llm_judge.results.estimates import Estimate, quantile, share
from fastchat.llm_judge.results.games import Game, agreed, by_game, games, is_by_hand, is_readable, questions, results
from fastchat.llm_judge.results.reading import LENGTH, Answered
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.clusters import clustered
from fastchat.ranking.comparisons import Codes, Outcome
from fastchat.ranking.counts import Counts
from fastchat.ranking.differences import normalised_difference
from fastchat.ranking.intervals import interval
from fastchat.ranking.ranks import rank_sets
from fastchat.ranking.results import ELO_PER_LOGIT, Estimates, Scale, Unbounded
from fastchat.ranking.style import LEFT_SIDE, fit_style


@dataclass(frozen=True, slots=True)
class ModelWins:
    """FastChat's table; the rate that counts a tie as half a win has an interval, which allows for questions."""

    model: str
    win: int
    loss: int
    tie: int
    win_rate: float
    loss_rate: float
    win_rate_adjusted: Estimate


@dataclass(frozen=True, slots=True)
class Duel:
    """Of two models with each other; the share that the first one won, a tie is half a win."""

    model: str
    other: str
    share: Estimate
    pairs: int


@dataclass(frozen=True, slots=True)
class Position:
    """How verdicts change when the two answers change places. What is left to 1: one of the two games was a tie."""

    consistent: Estimate
    first: Estimate  # whoever stood first won both
    second: Estimate
    pairs: int


@dataclass(frozen=True, slots=True)
class Rating:
    model: str
    rating: float
    lower: float | None  # None: no bound on this side
    upper: float | None
    best_rank: int  # ranks that the verdicts leave open, for all models at once
    worst_rank: int


@dataclass(frozen=True, slots=True)
class PairBoard:
    wins: tuple[ModelWins, ...]  # the best first
    duels: tuple[Duel, ...]  # each two that met, once; the names sorted
    failed: int  # FastChat's "error"
    position: Position | None  # None: people gave all verdicts, who see a pair once
    ratings: tuple[Rating, ...]  # of both games' common result
    notes: tuple[str, ...]  # of the fit
    order_effect: Estimate | None  # log-odds that standing first adds
    length_effect: Estimate | None  # log-odds that a standard deviation more of relative length adds; None: unknown
    ratings_at_equal_length: tuple[Rating, ...]  # empty where lengths are not known


def pair_board(rows: Sequence[PairVerdict], lengths: Mapping[Answered, int], baseline: str | None = None) -> PairBoard:
    """
    Raises:
        ValueError: no verdict can be read.
    """
    readable = [row for row in rows if is_readable(row)]
    if not readable:
        raise ValueError("no verdict on a pair can be read")
    ratings, notes = _ratings(readable)
    effects = _effects(readable, lengths)
    return PairBoard(
        wins=win_table(readable, baseline),
        duels=tuple(_duels(readable)),
        failed=len(rows) - len(readable),
        position=position(readable),
        ratings=ratings,
        notes=notes,
        order_effect=effects.order,
        length_effect=effects.length,
        ratings_at_equal_length=effects.ratings,
    )


def win_table(readable: Sequence[PairVerdict], baseline: str | None = None) -> tuple[ModelWins, ...]:
    """With a baseline, of the games against it, and without its own row."""
    against = [row for row in readable if baseline is None or baseline in (row.model_1, row.model_2)]
    models = sorted({name for row in against for name in (row.model_1, row.model_2)} - {baseline})
    table = [_wins_of(model, against) for model in models]
    return tuple(sorted(table, key=lambda row: -row.win_rate_adjusted.value))


def _wins_of(model: str, rows: Sequence[PairVerdict]) -> ModelWins:
    mine = [row for row in rows if model in (row.model_1, row.model_2)]
    won = [_worth(row, model) for row in mine]
    win, loss = won.count(1.0), won.count(0.0)
    adjusted = share(won, questions(mine))
    return ModelWins(model, win, loss, len(won) - win - loss, win / len(won), loss / len(won), adjusted)


def _worth(row: PairVerdict, model: str) -> float:
    outcome = agreed(row)
    if outcome is Outcome.TIE:
        return 0.5
    return float((outcome is Outcome.LEFT) == (model == row.model_1))


def _duels(readable: Sequence[PairVerdict]) -> Iterator[Duel]:
    met: dict[tuple[str, str], list[PairVerdict]] = defaultdict(list)
    for row in readable:
        first, second = sorted((row.model_1, row.model_2))
        met[first, second].append(row)
    for (model, other), rows in sorted(met.items()):
        yield Duel(model, other, share([_worth(row, model) for row in rows], questions(rows)), len(rows))


def position(readable: Sequence[PairVerdict]) -> Position | None:
    twice = [row for row in readable if not is_by_hand(row)]
    if not twice:
        return None
    asked = questions(twice)
    consistent = [row.g1_winner == row.g2_winner for row in twice]
    first = [row.g1_winner == Winner.MODEL_1 and row.g2_winner == Winner.MODEL_2 for row in twice]
    second = [row.g1_winner == Winner.MODEL_2 and row.g2_winner == Winner.MODEL_1 for row in twice]
    return Position(share(consistent, asked), share(first, asked), share(second, asked), len(twice))


def _ratings(readable: Sequence[PairVerdict]) -> tuple[tuple[Rating, ...], tuple[str, ...]]:
    votes, asked = results(readable), questions(readable)
    fit = clustered(fit_bradley_terry(Counts.of(votes)), votes, asked)
    return rating_board(fit, asked), tuple(fit.parameters["notes"])


def rating_board(fit: Estimates, asked: Codes) -> tuple[Rating, ...]:
    """The best first. One question tells nothing of how questions differ, so it bounds no rating and no rank."""
    ranks, (lower, upper) = rank_sets(fit), interval(fit)
    is_bounded = len(np.unique(asked)) > 1
    rows = [
        Rating(
            model,
            _points(fit.strengths[at]),
            _points(lower[at]) if is_bounded and fit.unbounded[at] != Unbounded.BELOW else None,
            _points(upper[at]) if is_bounded and fit.unbounded[at] != Unbounded.ABOVE else None,
            int(ranks.lower[at]) if is_bounded else 1,
            int(ranks.upper[at]) if is_bounded else len(fit.models),
        )
        for at, model in enumerate(fit.models)
    ]
    return tuple(sorted(rows, key=lambda row: -row.rating))


def _points(strength: float) -> float:
    return Scale().offset + ELO_PER_LOGIT * float(strength)


class _Effects(NamedTuple):
    order: Estimate | None
    length: Estimate | None
    ratings: tuple[Rating, ...]


def _effects(readable: Sequence[PairVerdict], lengths: Mapping[Answered, int]) -> _Effects:
    played = list(games(readable))
    asked = questions(played)
    fit = fit_style(by_game(played), side=True, clusters=asked)
    order = coefficient(fit, LEFT_SIDE, asked)
    known = [game for game in played if {*answers_of(game)} <= lengths.keys()]
    if not known:
        return _Effects(order, None, ())
    sides = np.array([[lengths[answer] for answer in answers_of(game)] for game in known], dtype=np.float64)
    votes = replace(by_game(known), covariates={LENGTH: normalised_difference(sides[:, 0], sides[:, 1])})
    asked = questions(known)
    fit = fit_style(votes, side=True, clusters=asked)
    return _Effects(order, coefficient(fit, LENGTH, asked), rating_board(fit, asked))


def answers_of(game: Game) -> tuple[Answered, Answered]:
    return (game.first, game.question_id, game.turn), (game.second, game.question_id, game.turn)


def coefficient(fit: Estimates, name: str, asked: Codes) -> Estimate | None:
    """With the interval that questions give it; None: the fit has left it out."""
    found = fit.coefficients.get(name)
    if found is None:
        return None
    if len(np.unique(asked)) < 2:
        return Estimate(found.estimate)
    half = quantile(asked) * found.error
    return Estimate(found.estimate, found.error, found.estimate - half, found.estimate + half)
