"""One folder in FastChat's layout.

DIR/question.jsonl                     what was asked
DIR/model_answer/MODEL.jsonl
DIR/answer_failures/MODEL.jsonl        ours; FastChat takes every file in model_answer for a model
DIR/reference_answer/JUDGE.jsonl       made by hand, where there is one
DIR/model_judgment/JUDGE_single.jsonl  …JUDGE_pair.jsonl, and ours: JUDGE_list.jsonl, JUDGE_failures.jsonl
DIR/costs.jsonl, DIR/.cache/           budget.py, cache.py
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import encode, read_recorded
from fastchat.llm_judge.matches import FAILED_ANSWER, Answers, Mode, QuestionId
from fastchat.llm_judge.questions import QuestionSet, read_questions
from fastchat.llm_judge.records import Answer


class BenchFolder:
    def __init__(self, root: Path, *, answer_file: Path | None = None) -> None:
        """`answer_file` stands in place of the usual ones, as FastChat's flag has it."""
        self.root = root
        self._answer_file = answer_file

    @property
    def questions(self) -> Path:
        return self.root / "question.jsonl"

    @property
    def models(self) -> list[str]:
        """Who has answered: FastChat goes by the file's name, in which there can be no slash."""
        return sorted(map(_model_name, (self.root / "model_answer").glob("*.jsonl")))

    def answers(self, model: str) -> Path:
        return self._answer_file or self.root / "model_answer" / f"{_file_name(model)}.jsonl"

    def answer_failures(self, model: str) -> Path:
        return self.root / "answer_failures" / f"{_file_name(model)}.jsonl"

    def references(self, judge: str) -> Path:
        return self.root / "reference_answer" / f"{_file_name(judge)}.jsonl"

    def verdicts(self, judge: str, mode: Mode) -> Path:
        return self.root / "model_judgment" / f"{_file_name(judge)}_{mode.kind}.jsonl"

    def judge_failures(self, judge: str) -> Path:
        return self.root / "model_judgment" / f"{_file_name(judge)}_failures.jsonl"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """While it is open, no other run writes into the folder. The system gives the lock back if we are killed.

        Raises:
            SetupError: another run does.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise SetupError(
                f"Another run writes into {self.root}. Wait for its end, or give another folder with --output."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def keep_questions(self, asked: QuestionSet) -> None:
        """
        Raises:
            SetupError: answers to other questions stand here.
        """
        if not self.questions.exists():
            draft = self.questions.with_suffix(".partial")
            draft.write_bytes(b"".join(map(encode, asked.questions)))
            draft.replace(self.questions)
        elif read_questions(self.questions).sha256 != asked.sha256:
            raise SetupError(
                f"{self.questions} holds other questions than {asked.source}. Give another folder with --output."
            )

    def read_answers(self, models: Sequence[str]) -> Answers:
        """What the models said; FastChat's word for a failure is no answer."""
        rows = {model: read_recorded(self.answers(model), Answer) for model in models}
        return {model: {row.question_id: row for row in own if not _has_failed(row)} for model, own in rows.items()}

    def read_references(self, judge: str) -> dict[QuestionId, Answer]:
        return {row.question_id: row for row in read_recorded(self.references(judge), Answer)}


def _has_failed(row: Answer) -> bool:
    return not row.choices or FAILED_ANSWER in row.choices[0].turns


def _file_name(model: str) -> str:
    """A name on the hub has a slash in it, a file's must not."""
    return model.replace("/", "--")


def _model_name(answers: Path) -> str:
    named = next((row.model_id for row in read_recorded(answers, Answer)), answers.stem)
    return named if _file_name(named) == answers.stem else answers.stem
