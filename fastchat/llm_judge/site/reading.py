"""All that a folder knows about each of its questions. Of what stands there twice, the last counts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import id_order, read_recorded
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.records import Answer, Failure, ListVerdict, PairVerdict, Question, SingleVerdict, Verdict
from fastchat.llm_judge.results import Report, show
from fastchat.llm_judge.results.games import agreed
from fastchat.llm_judge.results.reading import Judged, read_folder
from fastchat.ranking.comparisons import Outcome

RESULTS = ("model_judgment/*.jsonl", "model_check/*.jsonl", "static/*.json")


class _OfQuestion(Protocol):
    @property
    def question_id(self) -> QuestionId: ...


R = TypeVar("R", bound=_OfQuestion)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, and what became of it."""

    id: QuestionId
    question: Question | None  # None: others of its rows are here, it is not
    answers: Mapping[str, Answer]  # by model
    references: Mapping[str, tuple[str, ...]]  # by whose they are, one text a turn
    single: Sequence[SingleVerdict]
    pairs: Sequence[PairVerdict]
    lists: Sequence[ListVerdict]
    failures: Sequence[Failure]

    @property
    def category(self) -> str:
        return self.question.category if self.question else ""

    @property
    def models(self) -> list[str]:
        scored = (row.model for row in self.single)
        compared = (model for row in self.pairs for model in (row.model_1, row.model_2))
        several: list[ListVerdict | Failure] = [*self.lists, *self.failures]
        ranked = (model for row in several for model in row.models)
        return sorted({*self.answers, *scored, *compared, *ranked})

    @property
    def turns(self) -> list[int]:
        """Counted from 1."""
        texts = [self.question.turns] if self.question else []
        texts += [choice.turns for answer in self.answers.values() for choice in answer.choices]
        longest = max(map(len, texts), default=0)
        rows: list[Verdict | Failure] = [*self.single, *self.pairs, *self.lists, *self.failures]
        return sorted({*range(1, longest + 1), *(row.turn for row in rows)})


@dataclass(frozen=True, slots=True)
class Bench:
    name: str
    asked: tuple[Asked, ...]
    models: tuple[str, ...]
    judges: tuple[str, ...]
    report: Report | None  # None: nothing is judged yet


def read_bench(root: Path) -> Bench:
    """
    Raises:
        SetupError: there is neither an answer nor a judgment, or a line is none of FastChat's.
    """
    is_judged = any((root / "model_judgment").glob("*.jsonl"))
    judged = read_folder(root) if is_judged else Judged()
    asked = _asked(BenchFolder(root), judged)
    models = sorted({model for one in asked for model in one.models})
    if not models:
        raise SetupError(
            f"There is no answer and no judgment in {str(root)!r}: neither model_answer/MODEL.jsonl nor "
            "model_judgment/JUDGE_single.jsonl. Give the folder that `fastchat bench run --output` wrote, or "
            "FastChat's data/BENCH."
        )
    report = show(root) if any(any(root.glob(results)) for results in RESULTS) else None
    return Bench(root.resolve().name, asked, tuple(models), tuple(judged.judges), report)


def _asked(folder: BenchFolder, judged: Judged) -> tuple[Asked, ...]:
    questions = {row.question_id: row for row in read_recorded(folder.questions, Question)}
    answers: dict[QuestionId, dict[str, Answer]] = defaultdict(dict)
    for model in folder.models:
        for row in read_recorded(folder.answers(model), Answer):
            answers[row.question_id][model] = row
    references = references_of(folder, questions.values())
    single, pairs, failures = _by_question(judged.single), _by_question(judged.pairs), _by_question(judged.failures)
    lists = _by_question(judged.lists)
    unknown = {*answers, *single, *pairs, *lists, *failures} - questions.keys()
    return tuple(
        Asked(
            each,
            questions.get(each),
            dict(sorted(answers[each].items())),
            references[each],
            sorted(single[each], key=lambda row: (row.model, row.judge[0])),
            sorted(pairs[each], key=lambda row: (sorted((row.model_1, row.model_2)), row.judge[0])),
            sorted(lists[each], key=lambda row: (sorted(row.models), row.judge[0])),
            sorted(failures[each], key=lambda row: (row.models, row.judge[0])),
        )
        for each in [*questions, *sorted(unknown, key=id_order)]
    )


def _by_question(rows: Iterable[R]) -> dict[QuestionId, list[R]]:
    found: dict[QuestionId, list[R]] = defaultdict(list)
    for row in rows:
        found[row.question_id].append(row)
    return found


def winner(row: PairVerdict) -> str | None:
    """Who won in both orders; nobody else wins."""
    return {Outcome.LEFT: row.model_1, Outcome.RIGHT: row.model_2}.get(agreed(row))


def references_of(folder: BenchFolder, questions: Iterable[Question]) -> dict[QuestionId, dict[str, tuple[str, ...]]]:
    """Those that questions bring, and those that stand in a file beside them."""
    found: dict[QuestionId, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for question in questions:
        if question.reference:
            found[question.question_id]["the question"] = question.reference
    for file in sorted((folder.root / "reference_answer").glob("*.jsonl")):
        for row in read_recorded(file, Answer):
            if row.choices:
                found[row.question_id][row.model_id] = row.choices[0].turns
    return found
