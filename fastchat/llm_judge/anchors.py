"""Answers that stay the same, graded again and again, to notice a judge that drifts: data/anchors.jsonl, a line each.

    {"question_id": "anchor-2", "category": "math", "turns": ["What is 15 % of 240?"], "reference": ["36"],
     "answer": "… is 32.", "band": [1, 3]}

Hosted models change behind their names, and scores of different weeks then differ for no fault of the contestants. A
judge is asked for the same grades again and compared with itself. `band` holds the grades that we think defensible: a
judge that often leaves it is weak, which is no drift.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from pydantic import FiniteFloat

from fastchat.core.errors import SetupError
from fastchat.llm_judge.evaluation import MatchMaking
from fastchat.llm_judge.files import append_row, encode, read_recorded, read_rows
from fastchat.llm_judge.judging import JudgeManner, prepare
from fastchat.llm_judge.matches import Match, Mode
from fastchat.llm_judge.prompts import JudgePrompts
from fastchat.llm_judge.questions import QuestionSet
from fastchat.llm_judge.records import Answer, Choice, Failure, Question, Row, SingleVerdict
from fastchat.llm_judge.session import Session

_MODEL = "anchor"  # whose answers they are


class Anchor(Question):
    answer: str
    band: tuple[float, float]


class Grade(Row):
    """One anchor as a judge graded it. `asked` is the SHA-256 of what the judge was told."""

    question_id: int | str
    judge: tuple[str, str]
    score: FiniteFloat
    judgment: str
    asked: str
    tstamp: float = 0.0


class Graded(NamedTuple):
    grades: tuple[Grade, ...]
    failures: Mapping[str, int]  # grades that could not be had, by reason


def read_anchors() -> tuple[Anchor, ...]:
    with as_file(files("fastchat.llm_judge") / "data" / "anchors.jsonl") as file:
        return tuple(read_rows(file, Anchor))


def as_questions(anchors: Sequence[Anchor]) -> QuestionSet:
    return QuestionSet("anchors", tuple(anchors), "the anchors")


async def grade(
    session: Session,
    anchors: Sequence[Anchor],
    judge: str,
    prompts: JudgePrompts,
    manner: Callable[[bool], JudgeManner],
) -> Graded:
    """The session's folder is filled with the answers and, as of any run, with what the judge says of them.

    Raises:
        SetupError: the judge is nowhere, its price is not known although there is a budget, or it cannot be loaded.
    """
    folder = session.folder
    for anchor in anchors:
        choice = Choice(turns=(anchor.answer,))
        answer = Answer(question_id=anchor.question_id, answer_id="", model_id=_MODEL, choices=(choice,), tstamp=0.0)
        append_row(folder.answers(_MODEL), answer)
    making = MatchMaking(Mode.SINGLE, [_MODEL], prompts)
    session.check(session.plan((), None, making, [judge]))
    await session.judge(making, [judge], manner, only_answered=False)
    used = manner(session.reach.holds_to_schema(judge))  # of a judge that is loaded here, known only by now
    matches = making.matches(folder, session.questions, judge)
    asked = {match.question.question_id: _digest(match, prompts, used) for match in matches}
    failures = Counter(row.reason for row in read_recorded(folder.judge_failures(judge), Failure))
    rows = read_recorded(folder.verdicts(judge, Mode.SINGLE), SingleVerdict)
    return Graded(tuple(_grade(row, asked[row.question_id]) for row in rows), dict(failures.most_common()))


def _grade(row: SingleVerdict, asked: str) -> Grade:
    return Grade(
        question_id=row.question_id,
        judge=row.judge,
        score=row.score,
        judgment=row.judgment,
        asked=asked,
        tstamp=row.tstamp,
    )


def _digest(match: Match, prompts: JudgePrompts, manner: JudgeManner) -> str:
    return sha256(json.dumps(prepare(match, prompts, manner)).encode("utf-8", "surrogatepass")).hexdigest()


def check_free(file: Path) -> None:
    """
    Raises:
        SetupError: something stands there.
    """
    if file.exists():
        raise SetupError(
            f"{file} is there already, and is left as it is: what later runs are compared with must not change. "
            f"Compare with it by --against {file}, or record into another file."
        )


def write_grades(file: Path, found: Sequence[Grade]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(map(encode, found)))


def read_grades(file: Path) -> tuple[Grade, ...]:
    """
    Raises:
        SetupError: it cannot be read, or holds no grades.
    """
    found = tuple(read_rows(file, Grade))
    if not found:
        raise SetupError(f"{file} holds no grade. Record them with --record FILE.")
    return found
