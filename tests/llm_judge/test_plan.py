import pytest

from fastchat.llm_judge.answering import AnswerJob, Manner
from fastchat.llm_judge.plan import Foreseen, about_tokens, foresee_answers, foresee_verdict, plan
from fastchat.llm_judge.prices import Price
from fastchat.llm_judge.records import Question

QUESTION = Question(question_id=1, turns=("a" * 400, "b" * 40), reference=("c" * 80, "d"))
PRICES = {"dear": Price(10, 100), "free": Price(0, 0)}


def test_calls_tokens_and_prices_by_model() -> None:
    calls = [Foreseen("dear", 1000, 100), Foreseen("dear", 3000, 100), Foreseen("mystery", 5, 5)]
    found = plan(calls, PRICES.get)
    dear, mystery = found.shares
    assert (dear.calls, dear.prompt_tokens, dear.completion_tokens) == (2, 4000, 200)
    assert dear.usd == pytest.approx(0.04 + 0.02)
    assert mystery.usd is None
    assert found.calls == 3
    assert found.usd == pytest.approx(0.06)


def test_a_later_turn_is_asked_with_all_that_was_said() -> None:
    first, second = foresee_answers([AnswerJob("dear", QUESTION)], Manner(max_tokens=100))
    assert (first.prompt_tokens, first.completion_tokens) == (101, 100)
    assert second.prompt_tokens == 101 + 100 + 11


def test_every_choice_is_a_call() -> None:
    assert len(list(foresee_answers([AnswerJob("dear", QUESTION)], Manner(num_choices=3)))) == 6


def test_a_pair_is_judged_in_both_orders() -> None:
    assert len(list(foresee_verdict("judge", QUESTION, 1, 1))) == 1
    assert len(list(foresee_verdict("judge", QUESTION, 1, 2))) == 2


def test_a_list_is_judged_in_two_orders() -> None:
    first, second = foresee_verdict("judge", QUESTION, 1, 7)
    assert first == second
    assert first.prompt_tokens > 7 * 350
    assert first.completion_tokens == 250 + 5 * 50


def test_a_verdict_on_the_second_turn_has_both_turns_and_references_before_it() -> None:
    (one,) = foresee_verdict("judge", QUESTION, 1, 1)
    (two,) = foresee_verdict("judge", QUESTION, 2, 1)
    assert two.prompt_tokens - one.prompt_tokens == about_tokens("b" * 40) + about_tokens("d") + 350
