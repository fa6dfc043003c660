"""Answers that are programs, checked by running them: a folder's answers go in, rows beside its judgments come out.

SUITE/checks.jsonl            a set has it if its answers are checked and not judged
DIR/checks.jsonl              the same, kept with the questions
DIR/model_check/MODEL.jsonl   CheckedAnswer
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, TypeAlias

from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output
from fastchat.llm_judge.files import append_row, id_order, read_recorded, rewrite_rows
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.records import Answer, Row
from fastchat.llm_judge.suites.coding import Item, read_items, score
from fastchat.llm_judge.working import work_through

CHECKS = "checks.jsonl"
FOLDER = "model_check"
# Looks on: how many there will be, and of each whether it has passed.
Stage: TypeAlias = Callable[[int], AbstractContextManager[Callable[[bool], None]]]


class CheckedAnswer(Row):
    question_id: int | str
    answer_id: str
    model_id: str
    choice: int
    passed: bool
    reason: str  # why not; "" if it has passed
    checks_held: int
    checks: int
    duration_s: float
    tstamp: float


class _Job(NamedTuple):
    file: Path
    item: Item
    answer_id: str
    model: str
    choice: int
    text: str


def is_checked(folder: Path) -> bool:
    """Whether answers to the questions of a folder are checked by running them."""
    return (folder / CHECKS).is_file()


def keep_checks(folder: Path, questions: Path) -> None:
    """Takes a set's checks along, beside its questions. `questions` is the set's file or folder.

    Raises:
        SetupError: they cannot be written.
    """
    source = (questions if questions.is_dir() else questions.parent) / CHECKS
    if source.is_file() and not is_checked(folder):
        write_output(folder / CHECKS, source.read_bytes())


async def check_answers(folder: BenchFolder, models: Sequence[str], stage: Stage, *, at_once: int) -> int:
    """Those that are not checked yet; returns how many.

    Raises:
        SetupError: there are no checks, they are not those of the questions, or this system has no sandbox.
    """
    if not is_checked(folder.root):
        raise SetupError(
            f"{folder.root} has no {CHECKS}: its answers are not checked by running them. `fastchat bench run "
            "--questions coding` makes a folder that has."
        )
    items = {item.question.question_id: item for item in read_items(folder.root)}
    answers = folder.read_answers(models)
    jobs = [job for model in models for job in _jobs(_file(folder, model), answers[model].values(), items)]
    with stage(len(jobs)) as tell:

        async def run(job: _Job) -> None:
            outcome = await asyncio.to_thread(score, job.text, job.item)
            append_row(
                job.file,
                CheckedAnswer(
                    question_id=outcome.question_id,
                    answer_id=job.answer_id,
                    model_id=job.model,
                    choice=job.choice,
                    passed=outcome.passed,
                    reason=outcome.reason,
                    checks_held=outcome.checks_held,
                    checks=outcome.checks,
                    duration_s=round(outcome.duration_s, 3),
                    tstamp=time.time(),
                ),
            )
            tell(outcome.passed)

        try:
            await work_through(jobs, run, at_once=at_once)
        finally:
            for model in models:
                _settle(_file(folder, model), {answer.answer_id for answer in answers[model].values()})
    return len(jobs)


def _file(folder: BenchFolder, model: str) -> Path:
    return folder.root / FOLDER / folder.answers(model).name


def _jobs(file: Path, answers: Iterable[Answer], items: Mapping[int | str, Item]) -> Iterator[_Job]:
    had = {(row.answer_id, row.choice) for row in read_recorded(file, CheckedAnswer)}
    for answer in answers:
        for choice in answer.choices if answer.question_id in items else ():
            if (answer.answer_id, choice.index) not in had:
                text = choice.turns[0] if choice.turns else ""
                yield _Job(file, items[answer.question_id], answer.answer_id, answer.model_id, choice.index, text)


def _settle(file: Path, answered: Set[str]) -> None:
    """Sorted, and without what is of answers that were given anew."""
    if file.exists():
        rewrite_rows(
            file,
            CheckedAnswer,
            lambda rows: sorted((row for row in rows if row.answer_id in answered), key=_order),
        )


def _order(row: CheckedAnswer) -> tuple[object, int]:
    return id_order(row.question_id), row.choice


def read_checked(folder: Path) -> Sequence[CheckedAnswer]:
    """
    Raises:
        SetupError: a line is no such row.
    """
    return [row for file in sorted((folder / FOLDER).glob("*.jsonl")) for row in read_recorded(file, CheckedAnswer)]
