"""Answers without a word in them, and those that could not be had: what a mean over the rest does not show."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fastchat.llm_judge.answering import AnswerFailure
from fastchat.llm_judge.files import read_recorded
from fastchat.llm_judge.matches import FAILED_ANSWER
from fastchat.llm_judge.records import Answer


@dataclass(frozen=True, slots=True)
class Blanks:
    """Of one model."""

    model: str
    empty: int  # turns that it answered with nothing, or with white space; they are judged as they are
    failed: int  # questions it could not be asked; they are not judged


def blanks(folder: Path) -> tuple[Blanks, ...]:
    """Of the models that have any.

    Raises:
        SetupError: a line is no answer.
    """
    empty: Counter[str] = Counter()
    failed: dict[str, set[int | str]] = {}
    had: dict[str, set[int | str]] = {}
    for file in sorted((folder / "model_answer").glob("*.jsonl")):
        for row in {row.question_id: row for row in read_recorded(file, Answer)}.values():
            said = row.choices[0].turns if row.choices else (FAILED_ANSWER,)
            if FAILED_ANSWER in said:
                failed.setdefault(row.model_id, set()).add(row.question_id)
            else:
                had.setdefault(row.model_id, set()).add(row.question_id)
                empty[row.model_id] += sum(not text.strip() for text in said)
    for file in sorted((folder / "answer_failures").glob("*.jsonl")):
        for failure in read_recorded(file, AnswerFailure):
            failed.setdefault(failure.model_id, set()).add(failure.question_id)
    found = (
        Blanks(model, empty[model], len(failed.get(model, set()) - had.get(model, set())))
        for model in sorted(empty.keys() | failed.keys())
    )
    return tuple(each for each in found if each.empty or each.failed)
