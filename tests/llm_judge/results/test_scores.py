from math import sqrt

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from fastchat.llm_judge.results.estimates import coded, mean, share
from fastchat.llm_judge.results.scores import ScoreBoard, detectable, score_board
from tests.llm_judge.results.judgments import mamba, score


@pytest.fixture(scope="module")
def board() -> ScoreBoard:
    return score_board(*mamba())


def test_published_means(board: ScoreBoard) -> None:
    means = {row.model: round(row.score.value, 4) for row in board.models}
    assert sum(row.verdicts for row in board.models) == 960
    assert means == {
        "mamba_0_5_dpo_ep3": 7.3125,
        "mamba_0_5_dpo_ep1": 7.1219,
        "mamba_0_75_dpo_ep1": 7.0344,
        "mamba_0_75_dpo_ep3": 6.5812,
        "mamba_0_875_dpo_ep1": 6.3875,
        "mamba_0_875_dpo_ep3": 6.3688,
    }
    assert list(means) == sorted(means, key=lambda model: -means[model])


def test_turns_and_categories_make_up_the_mean(board: ScoreBoard) -> None:
    for row in board.models:
        assert set(row.turns) == {1, 2}
        assert len(row.categories) == 8
        assert np.mean([part.value for part in row.turns.values()]) == pytest.approx(row.score.value)
        assert np.mean([part.value for part in row.categories.values()]) == pytest.approx(row.score.value)


def test_a_difference_has_the_interval_of_the_paired_t_test_by_question(board: ScoreBoard) -> None:
    scores = {(row.model, row.question_id, row.turn): row.score for row in mamba()[0]}
    found = board.differences[3]
    apart = [
        sum(scores[found.model, question, turn] - scores[found.other, question, turn] for turn in (1, 2)) / 2
        for question in range(81, 161)
    ]
    oracle = ttest_1samp(apart, 0).confidence_interval(0.95)
    assert (found.difference.lower, found.difference.upper) == pytest.approx((oracle.low, oracle.high))
    assert found.questions == 80


def test_all_pairs_at_once_are_wider_and_decide(board: ScoreBoard) -> None:
    assert len(board.differences) == 15
    assert board.critical_value is not None
    assert 2.5 < board.critical_value < 3.1
    for each in board.differences:
        assert each.lower is not None
        assert each.upper is not None
        assert each.difference.lower is not None
        assert each.lower < each.difference.lower
        assert each.separated == (each.lower > 0 or each.upper < 0)
    assert any(each.separated for each in board.differences)
    ranks = {row.model: (row.best_rank, row.worst_rank) for row in board.models}
    assert ranks["mamba_0_5_dpo_ep3"][0] == 1
    assert ranks["mamba_0_875_dpo_ep3"][1] == 6


def test_equal_models_are_rarely_told_apart_even_on_few_questions() -> None:
    rng = np.random.default_rng(8)
    mistaken = 0
    for _ in range(200):
        of_question = rng.normal(6, 2, 8)
        rows = [score(m, q, of_question[q] + rng.normal(), turn) for m in "abcd" for q in range(8) for turn in (1, 2)]
        mistaken += any(each.separated for each in score_board(rows, {}).differences)
    assert mistaken / 200 <= 0.09


def test_turns_of_a_question_are_one_draw() -> None:
    once = [score("m", question, value) for question, value in enumerate([1, 5, 9, 7])]
    twice = [*once, *(score("m", row.question_id, row.score, turn=2) for row in once)]  # type: ignore[arg-type]
    first, second = (score_board(rows, {}).models[0].score for rows in (once, twice))
    assert first.error == pytest.approx(np.std([1, 5, 9, 7], ddof=1) / 2)
    assert second.error == pytest.approx(first.error)


def test_fastchats_failures_are_left_out_and_counted() -> None:
    board = score_board([score("m", 1, 8), score("m", 2, -1), score("m", 3, 6)], {})
    (row,) = board.models
    assert (row.score.value, row.verdicts, row.failed, board.detectable) == (7, 2, 1, None)


def test_a_pair_is_compared_on_what_both_answered() -> None:
    rows = [score("a", 1, 5), score("a", 2, 6), score("a", 3, 10), score("b", 1, 4), score("b", 2, 4)]
    (found,) = score_board(rows, {}).differences
    assert (found.difference.value, found.questions) == (1.5, 2)


def test_one_question_has_no_interval() -> None:
    board = score_board([score("a", 1, 5), score("b", 1, 4)], {"1": "x"})
    assert board.models[0].score.lower is None
    assert board.differences[0].lower is None
    assert not board.differences[0].separated


def test_no_score_is_refused() -> None:
    with pytest.raises(ValueError, match="no verdict has a score"):
        score_board([score("a", 1, -1)], {})


def test_a_difference_that_is_detectable_is_found_in_80_of_100_runs() -> None:
    rng = np.random.default_rng(1)
    spread, questions, runs = 2.0, 40, 2000
    difference = detectable(spread / sqrt(questions), questions)
    tests = ttest_1samp(rng.normal(difference, spread, (runs, questions)), 0, axis=1)
    assert np.mean(tests.pvalue < 0.05) == pytest.approx(0.8, abs=0.03)


def test_intervals_of_shares_cover_where_questions_draw_items_together() -> None:
    rng = np.random.default_rng(2)
    questions = coded(np.repeat(np.arange(60), 4).tolist())
    covered = 0
    for _ in range(500):
        of_question = np.repeat(rng.beta(1.5, 6, 60), 4)  # mean 0.2
        found = share(rng.random(240) < of_question, questions)
        assert found.lower is not None
        assert found.upper is not None
        covered += found.lower <= 0.2 <= found.upper
    assert covered / 500 == pytest.approx(0.95, abs=0.03)


def test_a_share_of_nothing_is_not_sure() -> None:
    found = share([False] * 80, coded(range(80)))
    assert found.lower == 0
    assert found.upper == pytest.approx(0.047, abs=0.002)
    assert mean([1.0], coded([1])).lower is None


def test_two_models_are_but_one_pair() -> None:
    """What is said of all pairs at once is not narrower than what is said of one."""
    rng = np.random.default_rng(3)
    for questions in range(5, 15):
        rows = [score(name, at, float(rng.normal(5, 1))) for name in "ab" for at in range(questions)]
        board = score_board(rows, {})
        assert board.critical_value is not None
        assert board.critical_value >= student.ppf(0.975, questions - 1)
