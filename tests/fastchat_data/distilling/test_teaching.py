from collections.abc import Callable

import pytest

from fastchat.core.errors import ContextLengthExceeded
from fastchat.data.distilling.exercises import Exercise
from fastchat.data.distilling.teaching import Ask, Manner, Question, Said, Untaught, foresee, teach
from fastchat.data.records import Conversation

MANNER = Manner("teacher", "asker")


def saying(say: Callable[[Question], Said], asked: list[Question] | None = None) -> Ask:
    async def ask(question: Question) -> Said:
        if asked is not None:
            asked.append(question)
        return say(question)

    return ask


def echo(question: Question) -> Said:
    return Said(f"{question.model}: {str(question.messages[-1]['content'])[-6:]}", "stop")


async def taught(exercise: Exercise, ask: Ask, manner: Manner = MANNER) -> Conversation:
    found = await teach(exercise, ask, manner)
    assert isinstance(found, Conversation)
    return found


async def test_questions_are_asked_one_after_the_other_each_with_the_answers_before_it() -> None:
    asked: list[Question] = []
    found = await taught(
        Exercise(4, "x", ("one", "two"), "old"), saying(echo, asked), Manner("teacher", "asker", "new")
    )
    assert [(one["role"], one["content"]) for one in found.messages] == [
        ("system", "new"),
        ("user", "one"),
        ("assistant", "teacher: one"),
        ("user", "two"),
        ("assistant", "teacher: two"),
    ]
    assert asked[1].messages == found.messages[:-1]
    assert [one.seed for one in asked] == [4, 4]
    assert found.extra["model"] == "teacher"
    assert found.extra["distilled"]["temperature"] == MANNER.temperature


async def test_a_model_asks_on_and_is_shown_what_was_said() -> None:
    asked: list[Question] = []
    manner = Manner("teacher", "asker", rounds=2)
    found = await taught(Exercise(0, "x", ("one",)), saying(echo, asked), manner)
    assert [one.model for one in asked] == ["teacher", "asker", "teacher"]
    assert "Person: one\n\nAssistant: teacher: one" in str(asked[1].messages[0]["content"])
    assert found.messages[2]["content"].startswith("asker: ")
    assert [call.model for call in foresee(Exercise(0, "x", ("one",)), manner)] == ["teacher", "asker", "teacher"]


@pytest.mark.parametrize(
    ("said", "why"),
    [(Said("and so", "length"), "cut off"), (Said(" ", "stop"), "empty"), (Said("No.", "content_filter"), "filter")],
)
async def test_what_is_not_whole_is_not_learned_from(said: Said, why: str) -> None:
    second = saying(lambda question: said if question.messages[-1]["content"] == "two" else Said("yes"))
    found = await taught(Exercise(0, "x", ("one", "two", "three")), second)
    assert [one["content"] for one in found.messages] == ["one", "yes"]
    assert why in found.extra["distilled"]["ended"]
    nothing = await teach(Exercise(0, "x", ("two",)), second, MANNER)
    assert isinstance(nothing, Untaught)
    assert why in nothing.reason


async def test_a_conversation_that_became_too_long_keeps_what_was_said() -> None:
    def say(question: Question) -> Said:
        if len(question.messages) > 2:
            raise ContextLengthExceeded(9000, 8192)
        return Said("yes")

    found = await taught(Exercise(0, "x", ("one", "two")), saying(say))
    assert len(found.messages) == 2
    with pytest.raises(ContextLengthExceeded):
        await teach(Exercise(0, "x", ("one",), "a system"), saying(lambda _: say(Question("", "123", 0, 1, 0))), MANNER)
