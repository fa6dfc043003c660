"""Judgments of others, and some made up, as FastChat's rows."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np

from fastchat.llm_judge.records import PairVerdict, SingleVerdict
from fastchat.llm_judge.results.opinions import Choice, Item, Opinion, opinion
from fastchat.llm_judge.results.reading import Answered

DATA = Path(__file__).parents[2] / "data"
PRD_MODELS = ("bard", "claude", "gpt35", "gpt4", "vicuna-13b")


def table(path: str) -> Iterator[Mapping[str, str]]:
    with gzip.open(DATA / path, "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def score(model: str, question: int, value: float, turn: int = 1) -> SingleVerdict:
    return SingleVerdict(
        question_id=question,
        model=model,
        judge=("judge", "single-v1"),
        user_prompt="",
        judgment=f"[[{value}]]",
        score=value,
        turn=turn,
    )


def pair(first: str, second: str, question: int, winners: tuple[str, str], turn: int = 1) -> PairVerdict:
    return PairVerdict(
        question_id=question,
        model_1=first,
        model_2=second,
        g1_winner=winners[0],
        g2_winner=winners[1],
        judge=("judge", "pair-v2"),
        turn=turn,
    )


def mamba() -> tuple[list[SingleVerdict], dict[int | str, str]]:
    """Scores, and categories of questions."""
    rows = list(table("llm_judge/mamba_scores.csv.gz"))
    scores = [score(row["model"], int(row["question_id"]), float(row["score"]), int(row["turn"])) for row in rows]
    return scores, {int(row["question_id"]): row["category"] for row in rows}


def prd_pairs(reviewer: str) -> list[PairVerdict]:
    """The two orders of each pair as one row of FastChat's."""
    said = {
        (row["model_a"], row["model_b"], int(row["question_id"])): row["score"]
        for row in table("prd_vicuna80/llm_reviews.csv.gz")
        if row["reviewer"] == reviewer
    }
    straight = {"1": "model_1", "2": "model_2", "3": "tie"}
    swapped = {"1": "model_2", "2": "model_1", "3": "tie"}
    return [
        pair(first, second, question, (straight[said[first, second, question]], swapped[said[second, first, question]]))
        for first, second in combinations(PRD_MODELS, 2)
        for question in range(1, 81)
    ]


def prd_people() -> list[Opinion]:
    return [
        opinion(
            Item(int(row["question_id"]), 1, row["model_a"], row["model_b"]), Choice(row["winner"]), "somebody", "human"
        )
        for row in table("prd_vicuna80/human_votes.csv.gz")
    ]


def scripted_pairs(
    order: float, length: float, seed: int, number: int = 1200
) -> tuple[list[PairVerdict], dict[Answered, int]]:
    """Of a judge whose log-odds for who stands first are the difference of strengths, plus `order`, plus `length` times
    the relative difference of lengths in its standard deviations."""
    rng = np.random.default_rng(seed)
    strengths = {"a": 0.4, "b": 0.0, "c": -0.4}
    lengths: dict[Answered, int] = {(m, q, 1): int(rng.lognormal(6, 0.6)) for m in strengths for q in range(number)}
    plain = [(m, o, q) for q in range(number) for m, o in combinations(strengths, 2)]
    relative = {(m, o, q): _relative(lengths[m, q, 1], lengths[o, q, 1]) for m, o, q in plain}
    spread = float(np.sqrt(np.mean(np.square(list(relative.values())))))
    rows = []
    for m, o, q in plain:
        apart = strengths[m] - strengths[o] + length * relative[m, o, q] / spread
        straight = "model_1" if rng.random() < _chance(apart + order) else "model_2"
        swapped = "model_2" if rng.random() < _chance(order - apart) else "model_1"
        rows.append(pair(m, o, q, (straight, swapped)))
    return rows, lengths


def _relative(mine: int, its: int) -> float:
    return (mine - its) / (mine + its)


def _chance(log_odds: float) -> float:
    return 1 / (1 + float(np.exp(-log_odds)))
