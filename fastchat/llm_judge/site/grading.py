"""Answers graded by a person, into files as a judge's: model_judgment/NAME_single.jsonl, NAME_pair.jsonl.

A verdict is a line that is added, so a run into the same folder may go on meanwhile. Who changes their mind adds
another line, and the last one counts; `settle` leaves only that one. The two answers of a pair are seen once, with
sides that are drawn: `model_1` stood as A.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeAlias

from fastchat.core.errors import InvalidRequest, SetupError
from fastchat.llm_judge import files
from fastchat.llm_judge.evaluation import MatchMaking
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.matches import Answers, Mode, QuestionId, key_of
from fastchat.llm_judge.prompts import read_prompts
from fastchat.llm_judge.records import Answer, PairVerdict, Question, SingleVerdict, Winner
from fastchat.llm_judge.results.games import BY_HAND
from fastchat.llm_judge.site.reading import references_of

Verdict: TypeAlias = SingleVerdict | PairVerdict
SCORES = tuple(map(str, range(1, 11)))
SIDES: Mapping[str, Winner] = {"A": Winner.MODEL_1, "tie": Winner.TIE, "B": Winner.MODEL_2}
_LONGEST_NAME = 80


class Task(NamedTuple):
    """What is to be graded at once."""

    question: Question
    turn: int
    answers: tuple[Answer, ...]  # one; or two, which stand as A and B

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(answer.model_id for answer in self.answers)

    @property
    def key(self) -> "_Key":
        return _Key(self.question.question_id, tuple(sorted(self.models)), self.turn)


class _Key(NamedTuple):
    question_id: QuestionId
    models: tuple[str, ...]
    turn: int


class Grading:
    """Of one person in one folder. What was graded is read from the file each time, which others may add to."""

    def __init__(
        self, root: Path, name: str, mode: Mode = Mode.SINGLE, *, baseline: str | None = None, is_blind: bool = False
    ) -> None:
        """
        Raises:
            SetupError: there is nothing to grade in this mode, or no person can go by this name here.
        """
        self.name = _checked_name(name)
        self.is_blind = is_blind
        self.choices: Sequence[str] = SCORES if mode is Mode.SINGLE else tuple(SIDES)
        folder = BenchFolder(root)
        self._file = folder.verdicts(self.name, mode)
        self._row: type[Verdict] = SingleVerdict if mode is Mode.SINGLE else PairVerdict
        _check_judge(folder, self.name)
        questions = files.read_recorded(folder.questions, Question)
        making = MatchMaking(mode, folder.models, read_prompts(), baseline)
        if questions and making.models:
            making.check()
        self.references = references_of(folder, questions)
        self.tasks = tuple(_tasks(questions, making.groups, folder.read_answers(making.answering), self.name))
        if not self.tasks:
            raise SetupError(
                f"There is nothing to grade in {str(root)!r}: no question of its question.jsonl has answers in "
                "model_answer/. Let models answer first: fastchat bench answer --output DIR"
            )

    def _rows(self) -> Sequence[Verdict]:
        return files.read_recorded(self._file, self._row)

    def graded(self) -> Mapping[int, Verdict]:
        """The verdicts that count, by the places of their tasks."""
        places = {task.key: at for at, task in enumerate(self.tasks)}
        found = {places.get(_key_of(row)): row for row in self._rows()}
        return {at: row for at, row in found.items() if at is not None}

    def next_of(self, graded: Mapping[int, Verdict], after: int = -1) -> int | None:
        """The next that is not graded, from the beginning again at the end; None: all are."""
        number = len(self.tasks)
        return next((at % number for at in range(after + 1, after + 1 + number) if at % number not in graded), None)

    def grade(self, at: int, choice: str, reason: str) -> None:
        """
        Raises:
            InvalidRequest: there is no such choice.
            SetupError: it cannot be written.
        """
        if choice not in self.choices:
            raise InvalidRequest(f"The choice is {choice!r}; it is one of {', '.join(self.choices)}.", param="choice")
        files.append_row(self._file, self._verdict(self.tasks[at], choice, reason))

    def _verdict(self, task: Task, choice: str, reason: str) -> Verdict:
        judge = (self.name, BY_HAND)
        if len(task.answers) == 1:
            return SingleVerdict(
                question_id=task.question.question_id,
                model=task.models[0],
                judge=judge,
                user_prompt="",
                judgment=reason,
                score=float(choice),
                turn=task.turn,
                tstamp=time.time(),
            )
        first, second = task.models
        return PairVerdict(
            question_id=task.question.question_id,
            model_1=first,
            model_2=second,
            g1_winner=SIDES[choice],
            g2_winner=SIDES[choice],  # FastChat counts a win only if both say so
            judge=judge,
            g1_judgment=reason,
            turn=task.turn,
            tstamp=time.time(),
        )

    def settle(self) -> None:
        """
        Raises:
            SetupError: as of `files.settle`.
        """
        if self._file.exists():
            files.settle(self._file, self._row, key_of, lambda row: (files.id_order(row.question_id), *key_of(row)[1:]))


def chosen(row: Verdict) -> str:
    """Of `Grading.choices`."""
    if isinstance(row, SingleVerdict):
        return f"{row.score:g}"
    return next((side for side, winner in SIDES.items() if winner == row.g1_winner), "")


def reason(row: Verdict) -> str:
    return row.judgment if isinstance(row, SingleVerdict) else row.g1_judgment


def _key_of(row: Verdict) -> _Key:
    key = key_of(row)
    return _Key(key.question_id, key.models, key.turn)


def _checked_name(name: str) -> str:
    stripped = name.strip()
    is_usable = stripped.isprintable() and len(stripped) <= _LONGEST_NAME and not {*"/\\"} & {*stripped}
    if not stripped or not is_usable or stripped.startswith("."):
        raise SetupError(
            f"--as {name!r}: it becomes the name of a file. Take up to {_LONGEST_NAME} letters, digits and blanks."
        )
    return stripped


def _check_judge(folder: BenchFolder, name: str) -> None:
    """
    Raises:
        SetupError: a model judges under this name.
    """
    kinds: Sequence[tuple[Mode, type[Verdict]]] = ((Mode.SINGLE, SingleVerdict), (Mode.PAIRWISE_ALL, PairVerdict))
    for mode, kind in kinds:
        file = folder.verdicts(name, mode)
        other = next((row for row in files.read_recorded(file, kind) if row.judge != (name, BY_HAND)), None)
        if other is not None:
            raise SetupError(
                f"{file} holds verdicts of {other.judge[0]} by {other.judge[1]!r}, which no person gave. "
                "Choose another name with --as."
            )


def _tasks(
    questions: Sequence[Question], groups: Sequence[tuple[str, ...]], answers: Answers, name: str
) -> Iterator[Task]:
    """Turn by turn; who comes first, and who stands as A, is drawn, and the same whenever this person comes back."""
    found = (
        Task(question, turn, tuple(answers[model][question.question_id] for model in group))
        for question in questions
        for turn in range(1, len(question.turns) + 1)
        for group in groups
        if all(_has_said(answers[model].get(question.question_id), turn) for model in group)
    )
    for _, together in groupby(found, key=lambda task: (task.question.question_id, task.turn)):
        drawn = list(together)
        draw = random.Random("\n".join(map(str, (name, drawn[0].question.question_id, drawn[0].turn))))
        draw.shuffle(drawn)
        for task in drawn:
            yield task._replace(answers=tuple(draw.sample(task.answers, len(task.answers))))


def _has_said(answer: Answer | None, turn: int) -> bool:
    return answer is not None and len(answer.choices[0].turns) >= turn
