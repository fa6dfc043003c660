"""A suite whose answers are programs: they are run against checks, and no judge is asked.

question.jsonl  FastChat's rows, the reference in a fenced block
checks.jsonl    {"question_id": 1001, "names": ["f"], "checks": [{"run": "f(2)", "gives": "4"},
                 {"run": "f(-1)", "raises": "ValueError"}], "wrong": ["def f …"]}
                names: what an answer has to define; wrong: programs that the checks must find out
"""

import ast
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import read_rows
from fastchat.llm_judge.records import Question, Row
from fastchat.llm_judge.sandbox import Limits, run_python
from fastchat.llm_judge.suites import harness
from fastchat.llm_judge.suites.code_blocks import code_of
from fastchat.ranking.baselines import wilson

OURS = Path(__file__).parent.parent / "data" / "coding"


class Check(BaseModel):
    """An expression, with statements before it if need be, and what it gives (a literal) or raises."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    gives: str | None = None
    raises: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "Check":
        if (self.gives is None) == (self.raises is None):
            raise ValueError("a check has either `gives` or `raises`")
        try:
            ast.literal_eval(self.gives or "0")
        except SyntaxError:
            raise ValueError(f"{self.gives!r} is no literal of Python") from None
        return self

    def holds(self, found: dict[str, Any]) -> bool:
        if self.raises is not None:
            kinds = found.get("raised")
            return isinstance(kinds, list) and self.raises in kinds
        assert self.gives is not None
        return "gave" in found and bool(found["gave"] == harness.plain(ast.literal_eval(self.gives)))


class CheckRow(Row):
    question_id: int | str
    names: frozenset[str] = Field(min_length=1)
    checks: tuple[Check, ...] = Field(min_length=1)
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    question: Question
    names: frozenset[str]
    checks: tuple[Check, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    question_id: int | str
    passed: bool
    reason: str  # why not; "" if it has passed
    checks_held: int
    checks: int
    duration_s: float


class PassRate(NamedTuple):
    rate: float
    lower: float
    upper: float
    questions: int


def read_items(folder: Path = OURS) -> tuple[Item, ...]:
    """
    Raises:
        SetupError: a file is missing or holds something else, or questions and checks do not belong together.
    """
    questions = {row.question_id: row for row in read_rows(folder / "question.jsonl", Question)}
    checks = {row.question_id: row for row in read_rows(folder / "checks.jsonl", CheckRow)}
    if alone := questions.keys() ^ checks.keys():
        shown = ", ".join(map(str, list(alone)[:5]))
        raise SetupError(f"{folder}: question.jsonl and checks.jsonl need the same question_ids; only one has {shown}.")
    return tuple(Item(questions[key], row.names, row.checks, row.wrong) for key, row in checks.items())


def score(answer: str, item: Item, limits: Limits | None = None) -> Outcome:
    """Finds the program in a model's answer and runs it. Blocks for seconds; from asyncio, call it in a thread."""
    code = code_of(answer, item.names)
    if code is None:
        return _failed(item, f"the answer has no Python that defines {' or '.join(sorted(item.names))}")
    job = json.dumps({"answer": code, "runs": [check.run for check in item.checks]})
    run = run_python(Path(harness.__file__).read_text("utf-8"), stdin=job, limits=limits)
    if not run.passed:
        return _failed(item, f"{run.why}: {run.error.strip().rpartition(chr(10))[2][:300]}", run.duration_s)
    found = _found(run.output, len(item.checks))
    if found is None:
        return _failed(item, "the program ended before its checks", run.duration_s)
    held = [check.holds(one) for check, one in zip(item.checks, found, strict=True)]
    reason = "" if all(held) else f"wrong: {item.checks[held.index(False)].run}"
    return Outcome(item.question.question_id, all(held), reason, sum(held), len(held), run.duration_s)


def _failed(item: Item, reason: str, duration_s: float = 0.0) -> Outcome:
    return Outcome(item.question.question_id, False, reason.strip(" :"), 0, len(item.checks), duration_s)


def _found(output: str, count: int) -> list[dict[str, Any]] | None:
    """What the child wrote, which need not be what the harness writes: the answer ran in the same process."""
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and len(found) == count and all(isinstance(one, dict) for one in found):
        return found
    return None


class HasPassed(Protocol):
    """An answer that was checked."""

    @property
    def question_id(self) -> int | str: ...

    @property
    def passed(self) -> bool: ...


def pass_rate(outcomes: Iterable[HasPassed], confidence: float = 0.95) -> PassRate:
    """pass@1 with Wilson's interval. A question answered several times counts once, with its mean.

    So the interval is rather too wide than too narrow where answers to a question differ.

    Raises:
        ValueError: there is no outcome.
    """
    by_question: dict[int | str, list[bool]] = {}
    for outcome in outcomes:
        by_question.setdefault(outcome.question_id, []).append(outcome.passed)
    if not by_question:
        raise ValueError("a rate needs an outcome")
    rate = np.array([np.mean([np.mean(passed) for passed in by_question.values()])])
    lower, upper = wilson(rate, np.array([float(len(by_question))]), confidence)
    return PassRate(float(rate[0]), float(lower[0]), float(upper[0]), len(by_question))
