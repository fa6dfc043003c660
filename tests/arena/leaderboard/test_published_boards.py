"""Boards that others published from votes anyone can have: read from the file, rated, and equal to what was printed."""

import csv
import gzip
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from fastchat.arena.leaderboard.reading import read_votes, stream_counts
from fastchat.arena.leaderboard.votes import MODEL_A, MODEL_B, OUTCOME, QUESTION, VOTER, VoteTable
from fastchat.ranking.bradley_terry import fit_bradley_terry
from fastchat.ranking.clusters import clustered
from fastchat.ranking.comparisons import Outcome
from fastchat.ranking.counts import Counts
from fastchat.ranking.elo import fit_elo
from fastchat.ranking.intervals import difference_errors
from fastchat.ranking.ranks import rank_sets
from fastchat.ranking.results import Estimates, Scale
from fastchat.ranking.style import LEFT_SIDE, fit_style

DATA = Path(__file__).parents[2] / "data"
LLMFAO = DATA / "llmfao" / "crowd-comparisons.csv.gz"
LLMFAO_COLUMNS = {"model_a": "left", "model_b": "right", "voter": "worker"}
# scikit-learn's C=1 adds half the sum of squares of coefficients, which it has for strengths over ln 10.
GENAI_RIDGE = 0.5 / math.log(10) ** 2
GENAI_LEFT_OPTIMUM = 0.15  # points at which the published fit stopped short of its own optimum


@pytest.fixture(scope="module")
def crowd() -> VoteTable:
    return read_votes([LLMFAO], columns=LLMFAO_COLUMNS)


@pytest.fixture(scope="module")
def without_side(crowd: VoteTable) -> Estimates:
    return fit_style(crowd.comparisons(), side=True)


def golden(algorithm: str) -> Mapping[str, float]:
    with (DATA / "llmfao" / "golden_scores.csv").open() as file:
        return {row["item"]: float(row["score"]) for row in csv.DictReader(file) if row["algorithm"] == algorithm}


@pytest.mark.parametrize(
    ("task", "board", "column", "votes"),
    [
        ("t2i", "t2i_generation", "anony", 1451),
        ("t2i", "t2i_generation", "full", 1977),  # 1978, and one of a model against itself
        ("edit", "image_editing", "anony", 64),
        ("edit", "image_editing", "full", 83),
    ],
)
def test_genai_arena_has_its_26_ratings(task: str, board: str, column: str, votes: int) -> None:
    with (DATA / "genai_arena" / f"leaderboard_{board}.csv").open() as file:
        published = {row["key"]: float(row[f"Arena Elo rating ({column})"]) for row in csv.DictReader(file)}
    where = {"task": task} | ({"anony": "true"} if column == "anony" else {})
    counts = stream_counts([DATA / "genai_arena" / "battles.jsonl.gz"], where=where)
    fit = fit_bradley_terry(counts, ridge=GENAI_RIDGE)
    ratings = dict(zip(fit.models, Scale().ratings(fit), strict=True))
    assert counts.number == votes
    assert ratings.keys() == published.keys()
    assert ratings == pytest.approx(published, abs=GENAI_LEFT_OPTIMUM)
    assert sorted(ratings, key=ratings.__getitem__) == sorted(published, key=published.__getitem__)


def test_llmfao_has_its_59_bradley_terry_scores(crowd: VoteTable) -> None:
    published = golden("bradley_terry")
    fit = fit_bradley_terry(Counts.of(crowd.comparisons()))
    strengths = np.log([published[name] for name in fit.models])
    assert len(published) == len(fit.models) == 59
    assert fit.strengths == pytest.approx(strengths - strengths.mean(), abs=1e-9)


def test_llmfao_has_its_59_elo_scores(crowd: VoteTable) -> None:
    fit = fit_elo(crowd.comparisons(), k=4)
    published = [golden("elo")[name] for name in fit.models]
    assert Scale().ratings(fit) == pytest.approx(published, abs=1e-9)


def test_llmfao_workers_favour_the_left(without_side: Estimates) -> None:
    bias = without_side.coefficients[LEFT_SIDE]
    assert (round(bias.estimate, 4), round(bias.error, 4)) == (0.0909, 0.0170)


def test_llmfao_votes_of_a_worker_hang_together(crowd: VoteTable) -> None:
    comparisons = crowd.comparisons()
    fit = fit_bradley_terry(Counts.of(comparisons))
    assert comparisons.voter is not None
    of_workers = clustered(fit, comparisons, comparisons.voter)
    assert crowd.frame[VOTER].n_unique() == 124
    assert np.mean(of_workers.errors / fit.errors) == pytest.approx(1.21, abs=0.005)


def test_llmfao_tells_655_pairs_apart_and_no_neighbours(without_side: Estimates) -> None:
    above = np.triu_indices(59, 1)
    distance = np.abs(without_side.strengths[:, None] - without_side.strengths)[above]
    ranks = rank_sets(without_side)
    order = np.argsort(-without_side.strengths)
    assert np.sum(distance > 1.96 * difference_errors(without_side)[above]) == 1139
    assert ranks.critical_value == pytest.approx(4.02, abs=0.03)
    assert np.sum(ranks.separated[above]) == pytest.approx(655, abs=5)  # a draw of the critical value moves it
    assert not ranks.separated[order[:-1], order[1:]].any()


FIVE = ("gpt4", "claude", "gpt35", "vicuna-13b", "bard")
Opinion = Mapping[tuple[str, str, str], float]  # of left, right and question: 1 is for the left, 1/2 a tie


@pytest.fixture(scope="module")
def people() -> Opinion:
    """What most of the people said who compared these answers, wherever these stood."""
    worth = {Outcome.LEFT: 1.0, Outcome.RIGHT: -1.0, Outcome.TIE: 0.0}
    table = read_votes([DATA / "prd_vicuna80" / "human_votes.csv.gz"])
    balance: dict[tuple[str, str, str], float] = defaultdict(float)
    for left, right, outcome, question in table.frame.select(MODEL_A, MODEL_B, OUTCOME, QUESTION).iter_rows():
        if left in FIVE and right in FIVE:
            balance[left, right, question] += worth[Outcome(outcome)]
            balance[right, left, question] -= worth[Outcome(outcome)]
    return {key: (np.sign(value) + 1) / 2 for key, value in balance.items()}


def test_prd_has_its_win_rates(people: Opinion) -> None:
    assert len(people) == 1600
    rates = {model: fmean(won for (left, *_), won in people.items() if left == model) for model in FIVE}
    assert rates == dict(zip(FIVE, (0.821875, 0.6890625, 0.3140625, 0.3890625, 0.2859375), strict=True))


def test_prd_judges_agree_with_people_as_published(people: Opinion) -> None:
    said = {"1": 1.0, "2": 0.0, "3": 0.5}
    agreed: dict[str, list[bool]] = defaultdict(list)
    with gzip.open(DATA / "prd_vicuna80" / "llm_reviews.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            person = people[row["model_a"], row["model_b"], row["question_id"]]
            agreed[row["reviewer"]].append(said[row["score"]] == person)
    published = {"gpt4": 0.6425, "claude": 0.606875, "gpt35": 0.620625}
    assert {judge: fmean(agreed[judge]) for judge in published} == published
