"""A folder of FastChat's files, read for its results: verdicts, what could not be had, categories, lengths of answers.

DIR/question.jsonl                       categories; may be missing
DIR/model_answer/MODEL.jsonl             lengths; may be missing
DIR/model_judgment/JUDGE_single.jsonl    SingleVerdict
DIR/model_judgment/JUDGE_pair.jsonl      PairVerdict
DIR/model_judgment/JUDGE_failures.jsonl  Failure
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import read_recorded
from fastchat.llm_judge.matches import FAILED_ANSWER, QuestionId
from fastchat.llm_judge.records import Answer, Failure, PairVerdict, Question, Row, SingleVerdict

R = TypeVar("R", bound=Row)
Answered: TypeAlias = tuple[str, QuestionId, int]  # model, question, turn (from 1)


@dataclass(frozen=True, slots=True)
class Judged:
    single: Sequence[SingleVerdict] = ()
    pairs: Sequence[PairVerdict] = ()
    failures: Sequence[Failure] = ()
    categories: Mapping[QuestionId, str] = field(default_factory=dict)
    lengths: Mapping[Answered, int] = field(default_factory=dict)  # characters of the first choice

    @property
    def judges(self) -> list[str]:
        named: list[SingleVerdict | PairVerdict | Failure] = [*self.single, *self.pairs, *self.failures]
        return sorted({row.judge[0] for row in named})

    def of(self, judge: str) -> "Judged":
        return Judged(
            [row for row in self.single if row.judge[0] == judge],
            [row for row in self.pairs if row.judge[0] == judge],
            [row for row in self.failures if row.judge[0] == judge],
            self.categories,
            self.lengths,
        )


def read_folder(folder: Path) -> Judged:
    """Of a verdict that stands there twice, the last counts. A failure that a verdict came after is none.

    Raises:
        SetupError: there are no judgments, or a line is none of FastChat's.
    """
    judgments = folder / "model_judgment"
    single, pairs, failures = (
        list(judgments.glob(f"*_{kind}.jsonl")) if judgments.is_dir() else [] for kind in ("single", "pair", "failures")
    )
    if not single and not pairs and not failures:
        raise SetupError(
            f"There are no judgments in {str(folder)!r}: no model_judgment/JUDGE_single.jsonl or JUDGE_pair.jsonl. "
            "Give the folder that `fastchat bench run --output` wrote, or FastChat's data/BENCH."
        )
    scores = _latest(_rows(single, SingleVerdict), single_key)
    games = _latest(_rows(pairs, PairVerdict), pair_key)
    had = {*map(single_key, scores), *map(pair_key, games)}
    missed = _latest(_rows(failures, Failure), _failure_key)
    questions = read_recorded(folder / "question.jsonl", Question)
    return Judged(
        scores,
        games,
        [row for row in missed if _failure_key(row) not in had],
        {question.question_id: question.category for question in questions if question.category},
        _lengths(folder / "model_answer"),
    )


def _rows(paths: Iterable[Path], kind: type[R]) -> list[R]:
    return [row for path in sorted(paths) for row in read_recorded(path, kind)]


def _latest(found: Iterable[R], key: Callable[[R], Hashable]) -> list[R]:
    return list({key(row): row for row in found}.values())


def single_key(row: SingleVerdict) -> Hashable:
    return (row.judge[0], row.question_id, (row.model,), row.turn)


def pair_key(row: PairVerdict) -> Hashable:
    return (row.judge[0], row.question_id, (row.model_1, row.model_2), row.turn)


def _failure_key(row: Failure) -> Hashable:
    return (row.judge[0], row.question_id, row.models, row.turn)


def _lengths(folder: Path) -> dict[Answered, int]:
    return {
        (answer.model_id, answer.question_id, turn): len(text)
        for answer in _rows(folder.glob("*.jsonl"), Answer)
        if answer.choices
        for turn, text in enumerate(answer.choices[0].turns, 1)
        if text != FAILED_ANSWER
    }
