"""Judges that are combined: worked examples, and a planted truth that is found again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fastchat.core.errors import SetupError
from fastchat.llm_judge.ensembles import Trust, dawid_skene, majority, mean
from fastchat.llm_judge.records import PairVerdict, SingleVerdict

WINNERS = ("model_1", "model_2", "tie")
SWAPPED = (1, 0, 2)
# By true side and named side: a good judge, a fair one, two that mostly name the first, one that guesses.
PLANTED = {
    "first": np.array([[0.95, 0.03, 0.02], [0.70, 0.20, 0.10], [0.75, 0.10, 0.15]]),
    "first too": np.array([[0.90, 0.05, 0.05], [0.60, 0.30, 0.10], [0.65, 0.15, 0.20]]),
    "fair": np.array([[0.75, 0.15, 0.10], [0.15, 0.75, 0.10], [0.20, 0.20, 0.60]]),
    "good": np.array([[0.90, 0.05, 0.05], [0.05, 0.90, 0.05], [0.10, 0.10, 0.80]]),
    "guess": np.full((3, 3), 1 / 3),
}


def single(judge: str, score: float, question_id: int = 1, **fields: object) -> SingleVerdict:
    return SingleVerdict(
        question_id=question_id,
        model="m",
        judge=(judge, "single-v1"),
        user_prompt="…",
        judgment=f"[[{score}]]",
        score=score,
        **fields,
    )


def pair(judge: str, g1: str, g2: str, question_id: int = 1, models: tuple[str, str] = ("m", "n")) -> PairVerdict:
    return PairVerdict(
        question_id=question_id,
        model_1=models[0],
        model_2=models[1],
        g1_winner=g1,
        g2_winner=g2,
        judge=(judge, "pair-v2"),
    )


def test_the_mean_keeps_what_each_said() -> None:
    (row,) = mean([single("b", 8, tstamp=2.0), single("a", 5, tstamp=1.0)])
    assert (row.score, row.judge, row.tstamp) == (6.5, ("mean(a, b)", "single-v1"), 2.0)
    assert row.judgment == "a: [[5]]\n\nb: [[8]]"


def test_what_a_judge_has_not_judged_is_not_combined() -> None:
    rows = [single("a", 5), single("b", 8), single("a", 1, 2), single("a", 3, 3), single("b", -1, 3)]
    assert [row.question_id for row in mean(rows)] == [1]


def test_of_two_verdicts_of_a_judge_the_last_counts() -> None:
    assert mean([single("a", 1), single("b", 4), single("a", 2)])[0].score == 3


def test_the_majority_decides_each_game() -> None:
    (row,) = majority([pair("a", "model_1", "model_1"), pair("b", "model_1", "tie"), pair("c", "tie", "model_2")])
    assert (row.g1_winner, row.g2_winner) == ("model_1", "tie")
    assert row.judge == ("majority(a, b, c)", "pair-v2")


@pytest.mark.parametrize("winner", ["error", "A", "model_3"])
def test_what_names_no_winner_is_not_combined(winner: str) -> None:
    rows = [pair(judge, "tie", "tie", at) for judge in ("j", "k") for at in (1, 2)]
    rows[3] = pair("k", "model_1", winner, 2)
    assert [row.question_id for row in majority(rows)] == [1]
    assert [row.question_id for row in dawid_skene(rows).verdicts] == [1]


def test_models_in_another_order_are_the_same_match() -> None:
    """In the first game of b, n stood as A, as it did in the second game of a."""
    a, b = pair("a", "model_1", "tie"), pair("b", "tie", "model_2", models=("n", "m"))
    (row,) = majority([a, b])
    assert (row.model_1, row.g1_winner, row.g2_winner) == ("m", "model_1", "tie")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([single("a", 5)], "mean takes several judges; there are verdicts of: a"),
        ([], "verdicts of: none"),
        ([single("a", 5), single("b", 5, 2)], "no match that all of a, b have judged"),
    ],
)
def test_what_cannot_be_combined(rows: list[SingleVerdict], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        mean(rows)


@pytest.fixture(scope="module")
def truth() -> NDArray[np.int64]:
    return np.random.default_rng(7).choice(3, size=2000, p=[0.35, 0.45, 0.2])


@pytest.fixture(scope="module")
def verdicts(truth: NDArray[np.int64]) -> list[PairVerdict]:
    rng = np.random.default_rng(8)
    rows = []
    for number, better in enumerate(truth):
        for judge, named in PLANTED.items():
            first = rng.choice(3, p=named[better])
            second = rng.choice(3, p=named[SWAPPED[better]])
            rows.append(pair(judge, WINNERS[first], WINNERS[SWAPPED[second]], number))
    return rows


@pytest.fixture(scope="module")
def trust(verdicts: list[PairVerdict]) -> Trust:
    return dawid_skene(verdicts)


def test_how_judges_err_is_found(trust: Trust) -> None:
    assert list(trust.named) == sorted(PLANTED)
    for judge, planted in PLANTED.items():
        # A row rests on some 800 to 3200 games, so its standard error is below 0.02.
        np.testing.assert_allclose(trust.named[judge], planted, atol=0.06)


def test_who_is_borne_out_weighs_more(trust: Trust, verdicts: list[PairVerdict], truth: NDArray[np.int64]) -> None:
    found = _share_right([row.g1_winner for row in trust.verdicts], truth)
    both = [row.g1_winner if row.g1_winner == row.g2_winner else "tie" for row in majority(verdicts)]
    assert found > _share_right(both, truth) + 0.05
    assert found > 0.9


def test_probabilities_are_calibrated(trust: Trust, truth: NDArray[np.int64]) -> None:
    np.testing.assert_allclose(trust.probabilities.sum(axis=1), 1)
    claimed = trust.probabilities.max(axis=1).mean()
    assert claimed == pytest.approx(_share_right([row.g1_winner for row in trust.verdicts], truth), abs=0.02)


def test_judges_who_agree_are_believed() -> None:
    rows = [pair(judge, winner, winner, number) for number, winner in enumerate(WINNERS * 5) for judge in "ab"]
    assert [row.g1_winner for row in dawid_skene(rows).verdicts] == list(WINNERS * 5)


def _share_right(winners: list[str], truth: NDArray[np.int64]) -> float:
    return float(np.mean([winner == WINNERS[better] for winner, better in zip(winners, truth, strict=True)]))
