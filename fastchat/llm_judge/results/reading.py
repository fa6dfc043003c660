"""A folder of FastChat's files, read for its results: verdicts, what could not be had, categories, style of answers.

DIR/question.jsonl                       categories; may be missing
DIR/model_answer/MODEL.jsonl             style; may be missing
DIR/model_judgment/JUDGE_single.jsonl    SingleVerdict
DIR/model_judgment/JUDGE_pair.jsonl      PairVerdict
DIR/model_judgment/JUDGE_list.jsonl      ListVerdict
DIR/model_judgment/JUDGE_failures.jsonl  Failure
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import read_recorded
from fastchat.llm_judge.matches import FAILED_ANSWER, QuestionId
from fastchat.llm_judge.records import Answer, Failure, ListVerdict, PairVerdict, Question, Row, SingleVerdict, Verdict
from fastchat.ranking.markdown import MARKUP, markup

R = TypeVar("R", bound=Row)
Answered: TypeAlias = tuple[str, QuestionId, int]  # model, question, turn (from 1)
LENGTH = "length"
STYLES = (LENGTH, *MARKUP, "code")


@dataclass(frozen=True, slots=True)
class Judged:
    single: Sequence[SingleVerdict] = ()
    pairs: Sequence[PairVerdict] = ()
    failures: Sequence[Failure] = ()
    categories: Mapping[QuestionId, str] = field(default_factory=dict)
    styles: Mapping[Answered, Mapping[str, int]] = field(default_factory=dict)  # of the first choice: STYLES
    turned: Mapping[str, int] = field(default_factory=dict)  # by judge: matches that were there in both orders of names
    lists: Sequence[ListVerdict] = ()

    @property
    def lengths(self) -> dict[Answered, int]:
        """Characters."""
        return {answered: style[LENGTH] for answered, style in self.styles.items()}

    @property
    def judges(self) -> list[str]:
        named: list[Verdict | Failure] = [*self.single, *self.pairs, *self.lists, *self.failures]
        return sorted({row.judge[0] for row in named})

    @property
    def models(self) -> set[str]:
        """Who was judged."""
        several = [(row.model_1, row.model_2) for row in self.pairs] + [row.models for row in self.lists]
        return {row.model for row in self.single}.union(*several)

    def of(self, judge: str) -> "Judged":
        return Judged(
            [row for row in self.single if row.judge[0] == judge],
            [row for row in self.pairs if row.judge[0] == judge],
            [row for row in self.failures if row.judge[0] == judge],
            self.categories,
            self.styles,
            self.turned,
            [row for row in self.lists if row.judge[0] == judge],
        )


def read_folder(folder: Path) -> Judged:
    """Of a verdict that stands there twice, the last counts. A failure that a verdict came after is none.

    Raises:
        SetupError: there are no judgments, or a line is none of FastChat's.
    """
    judgments = folder / "model_judgment"
    single, pairs, lists, failures = (
        list(judgments.glob(f"*_{kind}.jsonl")) if judgments.is_dir() else []
        for kind in ("single", "pair", "list", "failures")
    )
    if not single and not pairs and not lists and not failures:
        raise SetupError(
            f"There are no judgments in {str(folder)!r}: no model_judgment/JUDGE_single.jsonl or JUDGE_pair.jsonl. "
            "Give the folder that `fastchat bench run --output` wrote, or FastChat's data/BENCH."
        )
    scores = latest(_rows(single, SingleVerdict), single_key)
    all_games = _rows(pairs, PairVerdict)
    games = latest(all_games, pair_key)
    ranked = latest(_rows(lists, ListVerdict), list_key)
    had = {*map(single_key, scores), *map(pair_key, games), *map(list_key, ranked)}
    missed = latest(_rows(failures, Failure), _failure_key)
    questions = read_recorded(folder / "question.jsonl", Question)
    return Judged(
        scores,
        games,
        [row for row in missed if _failure_key(row) not in had],
        {question.question_id: question.category for question in questions if question.category},
        _styles(folder / "model_answer"),
        turned_pairs(all_games),
        ranked,
    )


def _rows(paths: Iterable[Path], kind: type[R]) -> list[R]:
    return [row for path in sorted(paths) for row in read_recorded(path, kind)]


def latest(found: Iterable[R], key: Callable[[R], Hashable]) -> list[R]:
    return list({key(row): row for row in found}.values())


def single_key(row: SingleVerdict) -> Hashable:
    """By which a judge's verdict is known again."""
    return (row.judge[0], row.question_id, (row.model,), row.turn)


def pair_key(row: PairVerdict) -> Hashable:
    """The two models in any order: each row holds both."""
    return (row.judge[0], row.question_id, tuple(sorted((row.model_1, row.model_2))), row.turn)


def list_key(row: ListVerdict) -> Hashable:
    return (row.judge[0], row.question_id, tuple(sorted(row.models)), row.turn)


def turned_pairs(rows: Iterable[PairVerdict]) -> Counter[str]:
    """By judge: matches that stand there as (x, y) and as (y, x)."""
    orders: dict[tuple[str, Hashable], set[tuple[str, str]]] = defaultdict(set)
    for row in rows:
        orders[row.judge[0], pair_key(row)].add((row.model_1, row.model_2))
    return Counter(judge for (judge, _), seen in orders.items() if len(seen) > 1)


def _failure_key(row: Failure) -> Hashable:
    return (row.judge[0], row.question_id, tuple(sorted(row.models)), row.turn)


def _styles(folder: Path) -> dict[Answered, Mapping[str, int]]:
    return {
        (answer.model_id, answer.question_id, turn): {LENGTH: len(text), **markup(text)}
        for answer in _rows(folder.glob("*.jsonl"), Answer)
        if answer.choices
        for turn, text in enumerate(answer.choices[0].turns, 1)
        if text != FAILED_ANSWER
    }
