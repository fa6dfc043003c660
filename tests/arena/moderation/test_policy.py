from itertools import product
from typing import Literal

import pytest

from fastchat.arena.moderation.base import Judgement
from fastchat.arena.moderation.policy import NOTICES, Decision, Policy, on_answer, on_answers, on_question
from fastchat.arena.records import Mark

FINE = Judgement("x")
FLAGGED = Judgement("x", is_flagged=True, categories={"hate": 0.9})
FAILED = Judgement("x", is_failed=True)
BOTH = Judgement("x", is_flagged=True, is_failed=True)

OnFailure = Literal["allow", "flag", "refuse"]


def test_what_is_fine_passes_unmarked() -> None:
    assert on_question(FINE, Policy()) == on_answer(FINE, Policy()) == Decision()


def test_a_flagged_question_is_refused_or_marked() -> None:
    marks = frozenset({Mark.FLAGGED_PROMPT})
    assert on_question(FLAGGED, Policy()) == Decision("withhold", marks, "question_flagged")
    assert on_question(FLAGGED, Policy(on_flagged_question="mark")) == Decision("pass", marks)


def test_a_flagged_answer_is_replaced_or_marked() -> None:
    marks = frozenset({Mark.FLAGGED_ANSWER})
    assert on_answer(FLAGGED, Policy()) == Decision("withhold", marks, "answer_flagged")
    assert on_answer(FLAGGED, Policy(on_flagged_answer="mark")) == Decision("pass", marks)


@pytest.mark.parametrize(
    ("on_failure", "expected"),
    [
        ("allow", Decision("pass", frozenset({Mark.UNMODERATED}))),
        ("flag", Decision("pass", frozenset({Mark.UNMODERATED, Mark.FLAGGED_PROMPT}))),
        ("refuse", Decision("withhold", frozenset({Mark.UNMODERATED}), "question_unchecked")),
    ],
)
def test_a_failure_is_never_silent(on_failure: OnFailure, expected: Decision) -> None:
    assert on_question(FAILED, Policy(on_failure=on_failure)) == expected


def test_each_side_is_judged_by_its_own_answer() -> None:
    """FastChat asked about the left conversation twice."""
    sides = on_answers(FINE, FLAGGED, Policy())
    assert sides.left == Decision()
    assert sides.right.notice == "answer_flagged"
    assert on_answers(FLAGGED, FINE, Policy()) == (sides.right, sides.left)
    assert sides.marks == {Mark.FLAGGED_ANSWER}


def test_a_flag_counts_although_another_moderator_failed() -> None:
    decided = on_answer(BOTH, Policy(on_failure="allow"))
    assert decided.notice == "answer_flagged"
    assert decided.marks == {Mark.FLAGGED_ANSWER, Mark.UNMODERATED}


def test_whatever_is_withheld_has_words() -> None:
    failures: tuple[OnFailure, ...] = ("allow", "flag", "refuse")
    for judgement, on_failure, decide in product((FINE, FLAGGED, FAILED, BOTH), failures, (on_question, on_answer)):
        decided = decide(judgement, Policy(on_failure=on_failure))
        assert (decided.action == "withhold") == (decided.notice in NOTICES)
