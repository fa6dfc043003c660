"""Boards of lists: by hand where it can be done, and planted strengths and order effects found again."""

import numpy as np
import pytest

from fastchat.llm_judge.records import ListVerdict, Ranking
from fastchat.llm_judge.results.lists import ListBoard, list_boards, ranks
from fastchat.llm_judge.results.opinions import of_lists

STRENGTHS = {"a": 1.0, "b": 0.3, "c": -0.3, "d": -1.0}


def verdict(question: int, first: Ranking, second: Ranking, models: str = "abc", turn: int = 1) -> ListVerdict:
    return ListVerdict(
        question_id=question,
        models=tuple(models),
        g1_ranking=first,
        g2_ranking=second,
        judge=("judge", "list-v1"),
        turn=turn,
    )


def drawn(order: float, seed: int, number: int = 300) -> list[ListVerdict]:
    """Of a judge that chooses the best, then the best of the rest, with chances exp(strength); each place further back
    takes `order` away."""
    rng = np.random.default_rng(seed)

    def ranking(shown: list[str]) -> Ranking:
        seen = {model: STRENGTHS[model] - order * at + rng.gumbel() for at, model in enumerate(shown)}
        return tuple((model,) for model in sorted(seen, key=lambda model: -seen[model]))

    rows = []
    for question in range(number):
        shown = [str(model) for model in rng.permutation(list(STRENGTHS))]
        rows.append(verdict(question, ranking(shown), ranking(shown[::-1]), "".join(shown)))
    return rows


def board(rows: list[ListVerdict]) -> ListBoard:
    (found,) = list_boards(rows)
    return found


def test_who_share_places_share_their_ranks() -> None:
    assert ranks((("c",), ("a", "b"), ("d",))) == {"c": 1, "a": 2.5, "b": 2.5, "d": 4}


def test_a_board_by_hand() -> None:
    rows = [
        verdict(1, (("a",), ("b",), ("c",)), (("a",), ("b", "c"))),
        verdict(2, (("b",), ("a",), ("c",)), (("a", "b"), ("c",)), turn=2),
    ]
    found = board(rows)
    assert {row.model: row.mean_rank.value for row in found.models} == {"a": 1.375, "b": 1.75, "c": 2.875}
    assert {row.model: row.first.value for row in found.models} == {"a": 0.625, "b": 0.375, "c": 0}
    assert [row.model for row in found.models] == ["a", "b", "c"]
    assert found.consistent.value == pytest.approx(2 / 3)
    assert (found.verdicts, found.questions) == (2, 2)
    # a stood first and then last: it lost nothing, then -0.5; c, which stood last and then first, -0.5 and 0.
    assert found.order_effect.value == pytest.approx(2 * np.mean([2 * (0 + 0.5), 2 * (-0.5 - 0)]) / 8, abs=1e-12)


def test_a_judge_that_ranks_by_place_is_seen_through() -> None:
    shown = [tuple("abc"), tuple("bca"), tuple("cab")]
    rows = [
        verdict(at, tuple((m,) for m in order), tuple((m,) for m in order[::-1]), "".join(order))
        for at, order in enumerate(shown)
    ]
    found = board(rows)
    assert found.order_effect.value == pytest.approx(2)
    assert found.consistent.value == 0
    assert {row.mean_rank.value for row in found.models} == {2}
    assert {round(rating.rating) for rating in found.ratings} == {1000}


@pytest.mark.parametrize("order", [0.0, 0.4])
def test_planted_strengths_are_found_whatever_the_order_does(order: float) -> None:
    found = board(drawn(order, seed=7))
    assert [row.model for row in found.models] == [rating.model for rating in found.ratings] == list(STRENGTHS)
    effect = found.order_effect
    assert effect.lower is not None
    assert effect.upper is not None
    assert (effect.lower > 0) == (order > 0)
    if order == 0:
        for rating in found.ratings:
            assert rating.lower is not None
            assert rating.upper is not None
            assert rating.lower < 1000 + STRENGTHS[rating.model] * 400 / np.log(10) < rating.upper


def test_lists_of_one_question_are_one_draw() -> None:
    """The same list four times over is no news."""
    rows = drawn(0.0, seed=1, number=40)
    again = [row.model_copy(update={"turn": turn}) for row in rows for turn in (1, 2, 3, 4)]
    once, often = board(rows), board(again)
    for one, other in zip(once.models, often.models, strict=True):
        assert other.mean_rank.error == pytest.approx(one.mean_rank.error)
    for mine, its in zip(once.ratings, often.ratings, strict=True):
        assert (its.lower, its.upper) == pytest.approx((mine.lower, mine.upper), abs=0.01)


def test_ties_in_the_middle_count_half_each_way() -> None:
    rows = [verdict(at, (("a",), ("b", "c")), (("a",), ("b", "c"))) for at in range(5)]
    ratings = {rating.model: rating for rating in board(rows).ratings}
    assert ratings["b"].rating == pytest.approx(ratings["c"].rating)
    assert ratings["a"].upper is None  # it came first always: nothing bounds it


def test_lists_of_other_models_have_a_board_of_their_own() -> None:
    three = [verdict(1, (("a",), ("b",), ("c",)), (("a",), ("b",), ("c",)))]
    found = list_boards([*three, *drawn(0.0, seed=1, number=5)])
    assert [(len(each.models), each.verdicts) for each in found] == [(4, 5), (3, 1)]
    assert {(rating.lower, rating.upper) for rating in found[1].ratings} == {(None, None)}  # one question


def test_a_list_is_an_opinion_on_each_pair() -> None:
    found = of_lists([verdict(1, (("a",), ("b",), ("c",)), (("b",), ("a", "c")))])
    assert {(each.item.model_a, each.item.model_b): str(each.choice) for each in found} == {
        ("a", "b"): "tie",
        ("a", "c"): "tie",
        ("b", "c"): "model_a",
    }


def test_who_always_stands_in_the_middle_of_a_judge_that_ranks_by_place_gains_nothing() -> None:
    rows = [verdict(at, (("a",), ("b",), ("c",)), (("c",), ("b",), ("a",))) for at in range(5)]
    assert {round(rating.rating, 6) for rating in board(rows).ratings} == {1000}
    assert {(rating.best_rank, rating.worst_rank) for rating in board(rows).ratings} == {(1, 3)}
