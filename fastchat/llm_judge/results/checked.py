"""How many answers did what was asked, of those that were checked by running them: pass@1 by model and category."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastchat.llm_judge.files import read_recorded
from fastchat.llm_judge.records import Question
from fastchat.llm_judge.results.estimates import Estimate
from fastchat.llm_judge.suites.checking import CheckedAnswer, read_checked
from fastchat.llm_judge.suites.coding import pass_rate


@dataclass(frozen=True, slots=True)
class Checked:
    """A model's pass@1, with Wilson's interval over questions. A question answered several times counts once."""

    model: str
    passed: Estimate
    categories: Mapping[str, Estimate]
    questions: int


def checked(folder: Path) -> tuple[Checked, ...]:
    """By the best first; empty where nothing was checked.

    Raises:
        SetupError: a file holds something else.
    """
    rows = read_checked(folder)
    categories = {
        question.question_id: question.category for question in read_recorded(folder / "question.jsonl", Question)
    }
    by_model: dict[str, list[CheckedAnswer]] = defaultdict(list)
    for row in rows:
        by_model[row.model_id].append(row)
    found = [_of_model(model, own, categories) for model, own in by_model.items()]
    return tuple(sorted(found, key=lambda each: (-each.passed.value, each.model)))


def _of_model(model: str, rows: Sequence[CheckedAnswer], categories: Mapping[int | str, str]) -> Checked:
    by_category: dict[str, list[CheckedAnswer]] = defaultdict(list)
    for row in rows:
        by_category[categories.get(row.question_id, "")].append(row)
    parts = {name: _rate(own) for name, own in sorted(by_category.items()) if name}
    return Checked(model, _rate(rows), parts, len({row.question_id for row in rows}))


def _rate(rows: Sequence[CheckedAnswer]) -> Estimate:
    rate = pass_rate(rows)
    return Estimate(rate.rate, None, rate.lower, rate.upper)
