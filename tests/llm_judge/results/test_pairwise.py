import pytest

from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.results.pairwise import pair_board, position, win_table
from tests.llm_judge.results.judgments import pair, prd_pairs, scripted_pairs


def test_a_model_wins_only_if_it_does_in_both_orders() -> None:
    rows = [
        pair("a", "b", 1, ("model_1", "model_1")),
        pair("a", "b", 2, ("model_1", "model_2")),
        pair("a", "b", 3, ("tie", "model_2")),
        pair("a", "b", 4, ("model_2", "model_2")),
        pair("a", "c", 5, ("model_1", "model_1")),
    ]
    table = {row.model: row for row in win_table(rows)}
    assert [(table[name].win, table[name].loss, table[name].tie) for name in "abc"] == [(2, 1, 2), (1, 1, 2), (0, 1, 0)]
    assert (table["a"].win_rate, table["a"].loss_rate, table["a"].win_rate_adjusted.value) == (0.4, 0.2, 0.6)
    assert [row.model for row in win_table(rows)] == ["a", "b", "c"]
    assert [row.model for row in win_table(rows, baseline="c")] == ["a"]


def test_who_always_won_is_not_sure_to_go_on() -> None:
    rows = [pair("a", "b", at, ("model_1", "model_1")) for at in range(6)]
    rate = win_table(rows)[0].win_rate_adjusted
    assert (rate.value, rate.upper) == (1, 1)
    assert rate.lower is not None
    assert 0.3 < rate.lower < 0.7
    rows += [pair("a", "b", at, ("model_2", "model_2")) for at in range(6, 8)]
    low = win_table(rows)[1].win_rate_adjusted
    assert low.lower is not None
    assert 0 <= low.lower < low.value == 0.25


def test_errors_are_left_out_and_counted() -> None:
    rows = [pair("a", "b", 1, ("model_1", "error")), pair("a", "b", 2, ("model_2", "model_2"))]
    board = pair_board(rows, {})
    assert (board.failed, board.position.pairs, board.wins[0].model) == (1, 1, "b")
    with pytest.raises(ValueError, match="no verdict on a pair can be read"):
        pair_board(rows[:1], {})


@pytest.mark.parametrize(
    ("reviewer", "published"),
    [
        ("gpt4", (0.689, 0.141, 0.003)),
        ("gpt35", (0.691, 0.029, 0.055)),
        ("claude", (0.549, 0.035, 0.275)),
        ("bard", (0.369, 0.591, 0.001)),
        ("vicuna-13b", (0.374, 0.205, 0.388)),
    ],
)
def test_prd_reviewers_have_their_position_effects(reviewer: str, published: tuple[float, ...]) -> None:
    found = position(prd_pairs(reviewer))
    parts = (found.consistent, found.first, found.second)
    assert tuple(round(part.value + 1e-9, 3) for part in parts) == published
    assert all(_includes(part, part.value) and part.lower is not None and part.lower >= 0 for part in parts)


def test_prd_order_effects_have_the_sign_of_the_reviewer() -> None:
    effects = {reviewer: pair_board(prd_pairs(reviewer), {}).order_effect for reviewer in ("gpt4", "claude")}
    assert effects["gpt4"] is not None
    assert effects["claude"] is not None
    assert effects["gpt4"].lower is not None
    assert effects["gpt4"].lower > 0
    assert effects["claude"].upper is not None
    assert effects["claude"].upper < 0


def test_prd_board_orders_models() -> None:
    board = pair_board(prd_pairs("gpt4"), {})
    assert [row.model for row in board.ratings] == ["gpt4", "claude", "gpt35", "vicuna-13b", "bard"]
    assert board.ratings[0].best_rank == board.ratings[0].worst_rank == 1
    assert board.length_effect is None
    assert board.ratings_at_equal_length == ()


@pytest.mark.parametrize(("order", "length"), [(0.3, 0.5), (-0.4, 0.0), (0.0, 0.25)])
def test_planted_position_and_length_bias_are_recovered(order: float, length: float) -> None:
    board = pair_board(*scripted_pairs(order, length, seed=7))
    assert board.order_effect is not None
    assert _includes(board.order_effect, order)
    assert board.length_effect is not None
    assert _includes(board.length_effect, length)
    assert board.length_effect.error is not None
    assert board.length_effect.error < 0.05
    assert [row.model for row in board.ratings_at_equal_length] == ["a", "b", "c"]


def test_a_model_that_always_wins_has_no_upper_end() -> None:
    rows = [pair("a", "b", question, ("model_1", "model_1")) for question in range(5)]
    best, worst = pair_board(rows, {}).ratings
    assert (best.model, best.upper, worst.lower) == ("a", None, None)


def _includes(found: Estimate, value: float) -> bool:
    return found.lower is not None and found.upper is not None and found.lower <= value <= found.upper


def test_one_question_bounds_no_rating() -> None:
    found = pair_board([pair("a", "b", 1, ("model_1", "model_1")), pair("b", "c", 1, ("tie", "tie"))], {})
    assert {(row.lower, row.upper, row.best_rank, row.worst_rank) for row in found.ratings} == {(None, None, 1, 3)}
