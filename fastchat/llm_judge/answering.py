"""A model's answers to questions: all turns of one, several choices where asked, each turn with those before it.

An answer that could not be had is no answer: it stands in a file beside, and is asked for again by the next run.
"""

import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from fastchat.core.errors import FastChatError
from fastchat.llm_judge.asking import Ask, Call
from fastchat.llm_judge.records import Answer, Choice, Question, Row


class AnswerFailure(Row):
    """What was asked, and why there is no answer."""

    question_id: int | str
    model_id: str
    reason: str
    tstamp: float = 0.0


class AnswerJob(NamedTuple):
    """One model, one question."""

    model: str
    question: Question


@dataclass(frozen=True, slots=True)
class Temperatures:
    """How freely answers are drawn: where there is one truth, not at all."""

    default: float
    category: Mapping[str, float]

    def of(self, question: Question) -> float:
        if question.required_temperature is not None:
            return question.required_temperature
        return self.category.get(question.category, self.default)


@cache
def usual_temperatures() -> Temperatures:
    text = (files("fastchat.llm_judge") / "data" / "temperatures.toml").read_text("utf-8")
    return Temperatures(**tomllib.loads(text))


@dataclass(frozen=True, slots=True)
class Manner:
    """How questions are put. `temperature` overrules what a question or its category wants."""

    num_choices: int = 1
    temperature: float | None = None
    max_tokens: int = 1024
    temperatures: Temperatures = field(default_factory=usual_temperatures)

    def temperature_for(self, question: Question) -> float:
        return self.temperatures.of(question) if self.temperature is None else self.temperature


def unanswered(
    models: Sequence[str], questions: Sequence[Question], is_answered: Callable[[str, int | str], bool]
) -> Iterator[AnswerJob]:
    """What is left to ask. Models take turns, so that one which is slow or gone does not hold up the others."""
    for question in questions:
        for model in models:
            if not is_answered(model, question.question_id):
                yield AnswerJob(model, question)


async def answer(
    job: AnswerJob, ask: Ask, manner: Manner = Manner(), *, clock: Callable[[], float] = time.time
) -> Answer:
    """
    Raises:
        FastChatError: a turn could not be answered; what came before it is given up with it.
    """
    choices = [await _choice(job, ask, manner, index) for index in range(manner.num_choices)]
    return Answer(
        question_id=job.question.question_id,
        answer_id=uuid.uuid4().hex[:22],
        model_id=job.model,
        choices=tuple(choices),
        tstamp=clock(),
    )


async def _choice(job: AnswerJob, ask: Ask, manner: Manner, index: int) -> Choice:
    messages: list[Mapping[str, str]] = []
    said = []
    for turn in job.question.turns:
        messages.append({"role": "user", "content": turn})
        call = Call(
            job.model,
            tuple(messages),
            temperature=manner.temperature_for(job.question),
            max_tokens=manner.max_tokens,
            seed=index,
        )
        reply = await ask(call)
        messages.append({"role": "assistant", "content": reply.text})
        said.append(reply.text)
    return Choice(index=index, turns=tuple(said))


def failure(job: AnswerJob, error: FastChatError, now: float) -> AnswerFailure:
    return AnswerFailure(question_id=job.question.question_id, model_id=job.model, reason=error.message, tstamp=now)
