"""What a run will ask, before it begins: calls, tokens, price.

Nobody knows how long an answer is before it is written, so this is an estimate; the budget is what is kept.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastchat.llm_judge.answering import AnswerJob, Manner
from fastchat.llm_judge.prices import Price
from fastchat.llm_judge.records import Question

_BYTES_PER_TOKEN = 4  # of English; other languages need more tokens
_ANSWER_TOKENS = 350  # what chat models of today say to such a question, as a rule
_VERDICT_TOKENS = 250
_MORE_TOKENS = 50  # for each answer in a list after the second
_FRAME_TOKENS = 250  # a judge's instructions


class Foreseen(NamedTuple):
    """One call."""

    model: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one model is asked. `usd` None: nobody knows its price."""

    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    usd: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    shares: Sequence[Share]

    @property
    def calls(self) -> int:
        return sum(share.calls for share in self.shares)

    @property
    def usd(self) -> float:
        """Of those whose price is known."""
        return sum(share.usd or 0.0 for share in self.shares)


def plan(calls: Iterable[Foreseen], price_of: Callable[[str], Price | None]) -> Plan:
    sums: dict[str, list[int]] = {}
    for call in calls:
        own = sums.setdefault(call.model, [0, 0, 0])
        own[0] += 1
        own[1] += call.prompt_tokens
        own[2] += call.completion_tokens
    shares = []
    for model, (count, prompt, completion) in sums.items():
        price = price_of(model)
        shares.append(Share(model, count, prompt, completion, None if price is None else price.of(prompt, completion)))
    return Plan(shares)


def foresee_answers(jobs: Iterable[AnswerJob], manner: Manner) -> Iterator[Foreseen]:
    """Each turn is asked with those before it, and what was answered to them."""
    answer = min(_ANSWER_TOKENS, manner.max_tokens)
    for job in jobs:
        prompt = 0
        for turn in job.question.turns:
            prompt += about_tokens(turn)
            for _ in range(manner.num_choices):
                yield Foreseen(job.model, prompt, answer)
            prompt += answer


def foresee_verdict(judge: str, question: Question, turn: int, models: int) -> Iterator[Foreseen]:
    """The calls for one match: one where a single answer is graded, two where several are compared, in both orders."""
    asked = sum(map(about_tokens, question.turns[:turn])) + sum(map(about_tokens, (question.reference or ())[:turn]))
    prompt = _FRAME_TOKENS + asked + models * turn * _ANSWER_TOKENS
    said = _VERDICT_TOKENS + max(0, models - 2) * _MORE_TOKENS
    for _ in range(min(models, 2)):
        yield Foreseen(judge, prompt, said)


def about_tokens(text: str) -> int:
    return len(text.encode()) // _BYTES_PER_TOKEN + 1
