"""Which answers meet, with which prompt, and what need not be asked again."""

from collections.abc import Sequence

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.matches import Key, Match, Mode, judged, key_of, plan_matches, without_reference
from fastchat.llm_judge.prompts import read_prompts
from fastchat.llm_judge.records import Failure, PairVerdict, Question, SingleVerdict
from tests.llm_judge.rows import answer, answers_of, question

WRITING, MATHS = question(81), question(111, "1+1?", "2+2?", category="math", reference=("2", "4"))


def plan(mode: Mode, models: Sequence[str], questions: Sequence[Question], **given: object) -> tuple[Match, ...]:
    everybody = answers_of({*models, "base"}, questions)
    return plan_matches(mode, questions, models, everybody, "gpt-4", read_prompts(), **given)


def test_every_answer_is_rated_at_every_turn_in_fastchats_four_groups() -> None:
    matches = plan(Mode.SINGLE, ["m", "n"], [MATHS, WRITING])
    assert [(each.prompt.name, each.question.question_id, each.turn, each.models) for each in matches] == [
        ("single-v1", 81, 1, ("m",)),
        ("single-v1", 81, 1, ("n",)),
        ("single-math-v1", 111, 1, ("m",)),
        ("single-math-v1", 111, 1, ("n",)),
        ("single-v1-multi-turn", 81, 2, ("m",)),
        ("single-v1-multi-turn", 81, 2, ("n",)),
        ("single-math-v1-multi-turn", 111, 2, ("m",)),
        ("single-math-v1-multi-turn", 111, 2, ("n",)),
    ]


def test_each_meets_the_baseline_once_and_stands_first() -> None:
    matches = plan(Mode.PAIRWISE_BASELINE, ["m", "base", "n"], [question(1, "a?")], baseline="base")
    assert [(each.models, each.prompt.name) for each in matches] == [
        (("m", "base"), "pair-v2"),
        (("n", "base"), "pair-v2"),
    ]


def test_all_meet_once() -> None:
    matches = plan(Mode.PAIRWISE_ALL, ["a", "b", "c", "a"], [question(1, "a?")])
    assert [each.models for each in matches] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_questions_of_many_turns_are_judged_at_each() -> None:
    long = question(7, "a?", "b?", "c?", "d?")
    everybody = {"m": {7: answer("m", "1", "2", "3", "4", question_id=7)}}
    matches = plan_matches(Mode.SINGLE, [long], ["m"], everybody, "j", read_prompts())
    assert [each.prompt.name for each in matches] == [
        "single-v1",
        "single-v1-multi-turn",
        "single-v1-dialogue",
        "single-v1-dialogue",
    ]


def test_a_question_with_criteria_has_its_last_answer_judged_by_them() -> None:
    asked = [question(1, "a?", checklist=["Is it short?", "Is it right?"]), question(2, "a?", "b?", rubric="Be kind.")]
    everybody = answers_of(["m", "n"], asked)
    found = [
        [(each.question.question_id, each.turn, each.prompt.name, each.criteria) for each in matches]
        for matches in (
            plan_matches(Mode.SINGLE, asked, ["m"], everybody, "j", read_prompts()),
            plan_matches(Mode.PAIRWISE_ALL, asked, ["m", "n"], everybody, "j", read_prompts()),
        )
    ]
    points = ("Is it short?", "Is it right?")
    assert found[0] == [
        (1, 1, "single-checklist-v1", points),
        (2, 1, "single-v1", ()),
        (2, 2, "single-rubric-v1", ("Be kind.",)),
    ]
    assert found[1] == [
        (1, 1, "pair-rubric-v1", points),
        (2, 1, "pair-v2", ()),
        (2, 2, "pair-rubric-v1", ("Be kind.",)),
    ]


@pytest.mark.parametrize("given", [{"rubric": 7}, {"checklist": ["fine", " "]}, {"checklist": {"a": 1}}])
def test_criteria_that_are_no_texts_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(SetupError, match=r"Question 1: its \w+ has to be a text or a list of texts"):
        plan(Mode.SINGLE, ["m"], [question(1, "a?", **given)])


def test_an_empty_checklist_is_none() -> None:
    assert plan(Mode.SINGLE, ["m"], [question(1, "a?", checklist=[], rubric=None)])[0].prompt.name == "single-v1"


def test_a_reference_file_goes_before_the_questions_own() -> None:
    references = {111: answer("gpt-4", "two", "four", question_id=111)}
    matches = plan(Mode.SINGLE, ["m"], [MATHS], references=references)
    assert [each.reference for each in matches] == [("two",), ("two", "four")]


def test_a_reference_for_one_turn_only_serves_from_there() -> None:
    late = question(5, category="coding", reference=("", "42"))
    matches = plan(Mode.SINGLE, ["m"], [late])
    assert [(each.prompt.name, each.reference) for each in matches] == [
        ("single-v1", ()),
        ("single-math-v1-multi-turn", ("", "42")),
    ]


def test_who_lacks_a_reference_is_known() -> None:
    matches = plan(Mode.SINGLE, ["m", "n"], [question(5, category="coding"), WRITING, MATHS])
    assert without_reference(matches) == [5]


def test_missing_answers_are_listed() -> None:
    questions = [question(number) for number in range(1, 31)]
    everybody = answers_of(["m", "n"], questions)
    everybody["m"][3] = answer("m", "only one turn", question_id=3)
    everybody["m"][4] = answer("m", "fine", "$ERROR$", question_id=4)
    del everybody["m"][5]
    with pytest.raises(SetupError) as raised:
        plan_matches(Mode.SINGLE, questions, ["m", "n", "o"], everybody, "j", read_prompts())
    assert "m: 3 of 30 questions (3, 4, 5)" in raised.value.message
    assert "o: 30 of 30 questions (1, 2, 3, " in raised.value.message
    assert "20, …)" in raised.value.message
    assert "n:" not in raised.value.message


@pytest.mark.parametrize(
    ("mode", "models", "given", "said"),
    [
        (Mode.SINGLE, [], {}, "single needs a model; given: no model"),
        (Mode.PAIRWISE_ALL, ["m"], {}, "needs two models; given: m"),
        (Mode.PAIRWISE_BASELINE, ["m"], {}, "--baseline MODEL"),
        (Mode.PAIRWISE_BASELINE, ["base"], {"baseline": "base"}, "other than the baseline base"),
    ],
)
def test_models_that_make_no_match(mode: Mode, models: list[str], given: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        plan(mode, models, [WRITING], **given)


def test_a_verdict_is_known_again() -> None:
    pair = plan(Mode.PAIRWISE_ALL, ["n", "m"], [WRITING])[0]
    recorded = PairVerdict(
        question_id=81, model_1="m", model_2="n", g1_winner="tie", g2_winner="tie", judge=("gpt-4", "pair-v2")
    )
    assert judged([recorded]) == {pair.key}
    single = plan(Mode.SINGLE, ["m"], [WRITING])[0]
    assert judged([_single(score=7)]) == {single.key} == {Key(81, ("m",), "gpt-4", "single-v1", 1)}


@pytest.mark.parametrize("change", [{"turn": 2}, {"judge": ("other", "single-v1")}, {"judge": ("gpt-4", "mine")}])
def test_another_turn_judge_or_prompt_is_another_match(change: dict[str, object]) -> None:
    assert key_of(_single(score=7).model_copy(update=change)) != key_of(_single(score=7))


def test_what_fastchat_recorded_as_a_failure_was_not_judged() -> None:
    lost = PairVerdict(
        question_id=81, model_1="m", model_2="n", g1_winner="model_1", g2_winner="error", judge=("gpt-4", "pair-v2")
    )
    assert judged([_single(score=-1), lost]) == set()


def test_a_failure_has_the_key_of_its_match() -> None:
    match = plan(Mode.PAIRWISE_ALL, ["n", "m"], [WRITING])[0]
    failure = Failure(question_id=81, models=match.models, judge=("gpt-4", "pair-v2"), turn=1, reason="…")
    assert key_of(failure) == match.key


def _single(score: float) -> SingleVerdict:
    return SingleVerdict(
        question_id=81, model="m", judge=("gpt-4", "single-v1"), user_prompt="", judgment="", score=score
    )
