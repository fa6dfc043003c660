"""One match: what the judge is told, what is recorded, and what becomes of replies that nobody can read."""

import json
import re
from pathlib import Path

import pytest

from fastchat.core.errors import AuthenticationFailed, ContextLengthExceeded, FastChatError, NoWorker, SetupError
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.judging import JudgeManner, judge, judge_pair, judge_single, prepare
from fastchat.llm_judge.matches import Match
from fastchat.llm_judge.prompts import JudgePrompts, read_prompts
from fastchat.llm_judge.records import Failure, PairVerdict, SingleVerdict
from tests.llm_judge.rows import ScriptedJudge, answer, question, saying, system_prompt, user_prompt

PROMPTS = read_prompts()
BARE = JudgeManner(is_fenced=False)


def single(turn: int = 1, reference: tuple[str, ...] = ()) -> Match:
    return Match(question(), (answer("m"),), "j", PROMPTS.single(turn, bool(reference)), turn, reference)


def pair(turn: int = 1, reference: tuple[str, ...] = ()) -> Match:
    prompt = PROMPTS.pairwise(turn, bool(reference))
    return Match(question(), (answer("m"), answer("n")), "j", prompt, turn, reference)


async def test_a_verdict_is_recorded_as_fastchat_does() -> None:
    ask = saying("Good, but short.\nRating: [[7]]")
    verdict = await judge(single(), ask, PROMPTS, clock=lambda: 12.5)
    assert isinstance(verdict, SingleVerdict)
    assert verdict.model_dump() == {
        "question_id": 81,
        "model": "m",
        "judge": ("j", "single-v1"),
        "user_prompt": user_prompt(ask.calls[0]),
        "judgment": "Good, but short.\nRating: [[7]]",
        "score": 7.0,
        "turn": 1,
        "tstamp": 12.5,
    }
    call = ask.calls[0]
    assert (call.model, call.temperature, call.max_tokens, call.schema) == ("j", 0.0, 2048, None)


@pytest.mark.parametrize(
    ("first", "second", "g1", "g2"),
    [
        ("[[A]]", "[[B]]", "model_1", "model_1"),
        ("[[A]]", "[[A]]", "model_1", "model_2"),
        ("[[B]]", "[[B]]", "model_2", "model_1"),
        ("[[B]]", "[[A]]", "model_2", "model_2"),
        ("[[C]]", "[[A]]", "tie", "model_2"),
    ],
)
async def test_winners_are_models_not_sides(first: str, second: str, g1: str, g2: str) -> None:
    verdict = await judge_pair(pair(), saying(first, second), PROMPTS)
    assert isinstance(verdict, PairVerdict)
    assert (verdict.g1_winner, verdict.g2_winner) == (g1, g2)
    assert (verdict.g1_judgment, verdict.g2_judgment) == (first, second)


async def test_the_second_game_has_the_sides_swapped() -> None:
    ask = saying("[[A]]", "[[A]]")
    verdict = await judge_pair(pair(turn=2), ask, PROMPTS)
    assert isinstance(verdict, PairVerdict)
    assert verdict.g1_user_prompt.index("m says red") < verdict.g1_user_prompt.index("n says red")
    assert verdict.g2_user_prompt.index("n says red") < verdict.g2_user_prompt.index("m says red")
    assert [user_prompt(call) for call in ask.calls] == [verdict.g1_user_prompt, verdict.g2_user_prompt]
    assert "m says" not in "".join(map(system_prompt, ask.calls))


@pytest.mark.parametrize("make", [single, pair])
@pytest.mark.parametrize("turn", [1, 2])
def test_the_judge_sees_turns_up_to_the_one_it_judges(make: object, turn: int) -> None:
    shown = prepare(make(turn), PROMPTS, BARE).user_prompt
    assert "Name a colour." in shown
    assert "m says red" in shown
    assert ("And another." in shown) == ("m says blue" in shown) == (turn == 2)
    assert ("n says red" in shown) == (make is pair)


@pytest.mark.parametrize("make", [single, pair])
def test_the_judge_sees_the_reference(make: object) -> None:
    assert "CRIMSON" in prepare(make(1, ("CRIMSON",)), PROMPTS, BARE).user_prompt
    shown = prepare(make(2, ("", "AZURE")), PROMPTS, BARE).user_prompt
    assert "AZURE" in shown
    assert "(There is none for this turn.)" in shown


def test_a_dialogue_is_shown_whole() -> None:
    asked = question(7, "a?", "b?", "c?")
    prompt = PROMPTS.by_name["pair-math-v1-dialogue"]
    answers = (answer("m", "m1", "m2", "m3"), answer("n", "n1", "n2", "n3"))
    game = prepare(Match(asked, answers, "j", prompt, 3, ("r1", "r2", "r3")), PROMPTS, JudgeManner(), True)
    order = ["r1", "r3", "n1", "b?", "n2", "c?", "n3", "m1", "m3"]
    places = [
        game.user_prompt.index(text, game.user_prompt.index(order[max(0, n - 1)])) for n, text in enumerate(order)
    ]
    assert places == sorted(places)
    assert len(re.findall(r"^<<<BEGIN", game.user_prompt, re.MULTILINE)) == 6


async def test_what_nobody_can_read_is_asked_again() -> None:
    ask = saying("It is fine.", "[[12]]", "Fine. [[8]]")
    verdict = await judge_single(single(), ask, PROMPTS)
    assert isinstance(verdict, SingleVerdict)
    assert verdict.score == 8
    assert verdict.judgment == "Fine. [[8]]"
    assert [call.seed for call in ask.calls] == [0, 1, 2]
    assert "there is no [[rating]] in it" in user_prompt(ask.calls[1])
    assert "the rating 12 is not from 1 to 10" in verdict.user_prompt == user_prompt(ask.calls[2])
    assert user_prompt(ask.calls[1]).startswith(user_prompt(ask.calls[0]))


async def test_what_stays_unreadable_is_a_failure_with_its_reason() -> None:
    ask = ScriptedJudge(lambda call: Reply("I think that", finish_reason="length"))
    failure = await judge(single(), ask, PROMPTS, JudgeManner(attempts=2, max_tokens=9), clock=lambda: 3.0)
    assert failure == Failure(
        question_id=81,
        models=("m",),
        judge=("j", "single-v1"),
        turn=1,
        reason="the reply cannot be read: there is no [[rating]] in it, and it was cut off after 9 tokens",
        judgment="I think that",
        attempts=2,
        tstamp=3.0,
    )


async def test_a_game_that_is_lost_ends_the_match() -> None:
    ask = ScriptedJudge(lambda call: "no verdict")
    failure = await judge_pair(pair(), ask, PROMPTS)
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("game 1: ")
    assert len(ask.calls) == 3
    failure = await judge_pair(pair(), saying("[[A]]", "?", "?", "?"), PROMPTS)
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("game 2: ")


@pytest.mark.parametrize(
    "error", [ContextLengthExceeded(9, 8), NoWorker("Nobody is there."), AuthenticationFailed("No.")]
)
async def test_a_call_that_fails_is_a_failure(error: FastChatError) -> None:
    failure = await judge(pair(), _raising(error), PROMPTS)
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.attempts) == (f"game 1: {error.message}", 1)


@pytest.mark.parametrize("error", [SetupError("A file is missing."), RuntimeError("the budget is spent")])
async def test_what_concerns_the_whole_run_goes_on(error: Exception) -> None:
    with pytest.raises(type(error)):
        await judge(single(), _raising(error), PROMPTS)


async def test_a_judge_can_be_held_to_a_schema() -> None:
    ask = saying(json.dumps({"explanation": "Both name one.", "winner": "tie"}), '{"explanation": "", "winner": "B"}')
    verdict = await judge_pair(pair(), ask, PROMPTS, JudgeManner(is_json=True))
    assert isinstance(verdict, PairVerdict)
    assert (verdict.g1_winner, verdict.g2_winner) == ("tie", "model_1")
    schema = ask.calls[0].schema
    assert schema is not None
    assert list(schema["properties"]) == ["explanation", "winner"]
    assert json.dumps(schema) in verdict.g1_user_prompt


def ticking() -> Match:
    points = ("It names a colour.", "It rhymes.", "It is short.", "It is polite.")
    return Match(question(), (answer("m"),), "j", PROMPTS.by_criteria("single", True), 2, (), points)


async def test_the_score_of_a_checklist_is_the_share_of_its_points() -> None:
    ask = saying("1. [[yes]]\n2. [[no]]", "A colour.\n1. [[yes]]\n2. [[no]]\n3. [[yes]]\n4. [[yes]]")
    verdict = await judge_single(ticking(), ask, PROMPTS)
    assert isinstance(verdict, SingleVerdict)
    assert verdict.score == 1 + 9 * 3 / 4
    assert verdict.model_dump()["points"] == [True, False, True, True]
    assert verdict.judge == ("j", "single-checklist-v1")
    assert "3. It is short." in verdict.user_prompt
    assert "for 3, 4 of 4 points" in verdict.user_prompt


async def test_a_checklist_can_be_held_to_a_schema() -> None:
    ask = saying('{"explanation": "No.", "points": [false, false, false, false]}')
    verdict = await judge_single(ticking(), ask, PROMPTS, JudgeManner(is_json=True))
    assert isinstance(verdict, SingleVerdict)
    assert verdict.score == 1


@pytest.mark.parametrize("is_pair", [False, True])
def test_the_judge_sees_a_rubric_with_the_dialogue(is_pair: bool) -> None:
    answers = (answer("m"), answer("n"))[: 1 + is_pair]
    match = Match(
        question(),
        answers,
        "j",
        PROMPTS.by_criteria("pair" if is_pair else "single", False),
        2,
        ("", "AZURE"),
        ("BE KIND",),
    )
    shown = prepare(match, PROMPTS, JudgeManner()).user_prompt
    for text in ("BE KIND", "AZURE", "Name a colour.", "m says red.", "m says blue."):
        assert text in shown
    assert ("n says blue." in shown) == is_pair


async def test_two_ratings_decide_a_game() -> None:
    ours = PROMPTS.by_name["pair-v2"]
    rated = ours.model_copy(update={"output_format": "[[rating_a,rating_b]]"})
    match = Match(question(), (answer("m"), answer("n")), "j", rated)
    verdict = await judge_pair(match, saying("[[8,6]]", "[[7,7]]"), PROMPTS)
    assert isinstance(verdict, PairVerdict)
    assert (verdict.g1_winner, verdict.g2_winner) == ("model_1", "tie")


async def test_without_fences_a_prompt_of_fastchats_form_is_sent_to_the_letter(tmp_path: Path) -> None:
    row = {
        "name": "single-v1",
        "type": "single",
        "system_prompt": "",
        "prompt_template": "[Question]\n{question}\n\n[Answer]\n{answer}\n",
        "description": "",
        "category": "general",
        "output_format": "[[rating]]",
    }
    (tmp_path / "mine.jsonl").write_text(json.dumps(row), "utf-8")
    prompts: JudgePrompts = read_prompts(tmp_path / "mine.jsonl")
    ask = saying("[[5]]")
    match = Match(question(81, "What is {x}?"), (answer("m", "[[1]] {answer}"),), "j", prompts.single(1, False))
    await judge_single(match, ask, prompts, BARE)
    assert list(ask.calls[0].messages) == [
        {"role": "user", "content": "[Question]\nWhat is {x}?\n\n[Answer]\n[[1]] {answer}\n"}
    ]


async def test_the_same_match_is_the_same_call() -> None:
    """So a cache finds the reply again."""
    first, second = saying("[[5]]"), saying("[[5]]")
    await judge_single(single(), first, PROMPTS)
    await judge_single(single(), second, PROMPTS)
    assert first.calls == second.calls


def _raising(error: Exception) -> ScriptedJudge:
    def say(call: Call) -> str:
        raise error

    return ScriptedJudge(say)


async def test_an_empty_answer_is_judged_as_it_is() -> None:
    match = Match(question(), (answer("m", ""),), "j", PROMPTS.single(1, False))
    verdict = await judge_single(match, saying("Nothing. [[1]]"), PROMPTS)
    assert isinstance(verdict, SingleVerdict)
    assert verdict.score == 1
    assert re.search(r"<<<BEGIN \w+>>>\n\n<<<END \w+>>>", verdict.user_prompt)
