"""Questions, answers and judges for the tests of judging."""

from collections.abc import Callable, Iterable

from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.records import Answer, Choice, Question


def question(question_id: int | str = 81, *turns: str, category: str = "writing", **fields: object) -> Question:
    return Question(
        question_id=question_id, category=category, turns=turns or ("Name a colour.", "And another."), **fields
    )


def answer(model: str, *turns: str, question_id: int | str = 81) -> Answer:
    choices = (Choice(turns=turns or (f"{model} says red.", f"{model} says blue.")),)
    return Answer(question_id=question_id, answer_id="a", model_id=model, choices=choices, tstamp=1.0)


def answers_of(models: Iterable[str], questions: Iterable[Question]) -> dict[str, dict[int | str, Answer]]:
    asked = list(questions)
    return {
        model: {each.question_id: answer(model, question_id=each.question_id) for each in asked} for model in models
    }


class ScriptedJudge:
    """Says what `say` makes of the call, and keeps the calls."""

    def __init__(self, say: Callable[[Call], str | Reply]) -> None:
        self.calls: list[Call] = []
        self._say = say

    async def __call__(self, call: Call) -> Reply:
        self.calls.append(call)
        said = self._say(call)
        return Reply(said) if isinstance(said, str) else said


def saying(*replies: str | Reply) -> ScriptedJudge:
    """One reply after the other."""
    left = iter(replies)
    return ScriptedJudge(lambda call: next(left))


def system_prompt(call: Call) -> str:
    return call.messages[0]["content"]


def user_prompt(call: Call) -> str:
    return call.messages[-1]["content"]
