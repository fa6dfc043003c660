from collections.abc import Mapping, Sequence

import pytest

from fastchat.core.errors import WorkerFailed
from fastchat.llm_judge.answering import AnswerJob, Manner, answer, failure, unanswered, usual_temperatures
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.records import Choice, Question

TWO_TURNS = Question(question_id=1, category="writing", turns=("Write.", "Shorter."))


class Parrot:
    """Says how many messages it was shown, and with which seed."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.calls: list[Call] = []
        self._fails_at = fails_at

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        if len(self.calls) == self._fails_at:
            raise WorkerFailed("gone")
        return Reply(f"{len(call.messages)} messages, seed {call.seed}")


def told(call: Call) -> Sequence[Mapping[str, str]]:
    return [dict(message) for message in call.messages]


async def test_each_turn_is_asked_with_those_before_it() -> None:
    parrot = Parrot()
    row = await answer(AnswerJob("m", TWO_TURNS), parrot, clock=lambda: 7.0)
    assert told(parrot.calls[1]) == [
        {"role": "user", "content": "Write."},
        {"role": "assistant", "content": "1 messages, seed 0"},
        {"role": "user", "content": "Shorter."},
    ]
    assert (row.question_id, row.model_id, row.tstamp) == (1, "m", 7.0)
    assert row.choices == (Choice(index=0, turns=("1 messages, seed 0", "3 messages, seed 0")),)


async def test_choices_differ_by_their_seed() -> None:
    row = await answer(AnswerJob("m", TWO_TURNS), Parrot(), Manner(num_choices=2))
    assert [choice.index for choice in row.choices] == [0, 1]
    assert row.choices[1].turns == ("1 messages, seed 1", "3 messages, seed 1")


@pytest.mark.parametrize(
    ("category", "required", "forced", "temperature"),
    [
        ("math", None, None, 0.0),
        ("stem", None, None, 0.1),
        ("roleplay", None, None, 0.7),
        ("support desk", None, None, 0.7),
        ("math", 0.9, None, 0.9),
        ("math", 0.9, 0.0, 0.0),
    ],
)
async def test_temperature(category: str, required: float | None, forced: float | None, temperature: float) -> None:
    question = Question(question_id="q", category=category, turns=("?",), required_temperature=required)
    parrot = Parrot()
    await answer(AnswerJob("m", question), parrot, Manner(temperature=forced, max_tokens=5))
    assert (parrot.calls[0].temperature, parrot.calls[0].max_tokens) == (temperature, 5)


def test_fastchats_categories_have_their_temperatures() -> None:
    assert usual_temperatures().category["arena-hard-200"] == 0.0
    assert len(usual_temperatures().category) == 9


async def test_half_an_answer_is_no_answer() -> None:
    with pytest.raises(WorkerFailed):
        await answer(AnswerJob("m", TWO_TURNS), Parrot(fails_at=2))
    row = failure(AnswerJob("m", TWO_TURNS), WorkerFailed("gone"), 7.0)
    assert (row.question_id, row.model_id, row.reason) == (1, "m", "gone")


def test_models_take_turns_and_what_is_there_is_left_out() -> None:
    questions = [Question(question_id=number, turns=("?",)) for number in (1, 2)]
    jobs = unanswered(["a", "b"], questions, lambda model, number: (model, number) == ("a", 2))
    assert [(job.model, job.question.question_id) for job in jobs] == [("a", 1), ("b", 1), ("b", 2)]
