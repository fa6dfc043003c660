"""Two sets of judgments on the same questions and models: what another judge, other prompts or another run change."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeAlias

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import read_recorded
from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.records import Answer, PairVerdict, Question, SingleVerdict
from fastchat.llm_judge.results.agreement import Agreements, agreements
from fastchat.llm_judge.results.estimates import Estimate, coded, mean
from fastchat.llm_judge.results.opinions import Choice, Opinion, of_pairs, of_scores
from fastchat.llm_judge.results.reading import Judged, read_folder
from fastchat.llm_judge.results.scores import FAILED

FIRST, SECOND = "A", "B"


class Place(NamedTuple):
    """What a model gets a number for. `other` is the model it is compared with; empty: its answer was rated alone."""

    question_id: QuestionId
    turn: int
    other: str = ""


Numbers: TypeAlias = Mapping[str, Mapping[Place, float]]  # of models


@dataclass(frozen=True, slots=True)
class Side:
    name: str  # of the folder
    judge: str
    prompts: tuple[str, ...]
    verdicts: int
    alone: int  # verdicts that the other side has not
    failures: int


@dataclass(frozen=True, slots=True)
class Shift:
    """Of one model, on what both sides have judged; the difference is paired, and its interval allows for questions."""

    model: str
    first: float
    second: float
    difference: Estimate  # second - first
    verdicts: int
    equal: int  # of them


@dataclass(frozen=True, slots=True)
class Change:
    """One verdict that is not the same on both sides; the largest difference comes first."""

    model: str
    place: Place
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class Part:
    """Scores, or wins (1, a tie ½, 0) of pairs."""

    shifts: tuple[Shift, ...]
    changes: tuple[Change, ...]
    agreement: Agreements | None  # on which of two answers is better; of scores, the higher one's


@dataclass(frozen=True, slots=True)
class Comparison:
    first: Side
    second: Side
    scores: Part | None  # None: one of the two has none, or they have none in common
    wins: Part | None
    answers: int  # in both folders
    other_answers: int  # of these, those that read otherwise: differences are then not the judge's alone

    def json(self) -> str:
        return json.dumps(asdict(self), allow_nan=False, indent=2, ensure_ascii=False)


def compare(
    first: Path, second: Path, judges: tuple[str | None, str | None] = (None, None), models: Sequence[str] = ()
) -> Comparison:
    """`judges` of either side may be left out where there is but one; with `models`, only these count.

    Raises:
        SetupError: a folder has no judgments or those of several judges, both have asked other things, or nothing was
            judged on both sides.
    """
    _check_questions(first, second)
    one, other = (_judged(folder, judge, models) for folder, judge in zip((first, second), judges, strict=True))
    scores = _part(_scores(one), _scores(other), _agreement(of_scores(one.single), of_scores(other.single)))
    wins = _part(_wins(one), _wins(other), _agreement(of_pairs(one.pairs), of_pairs(other.pairs)), decided_once=True)
    if scores is None and wins is None:
        raise SetupError(
            f"{first} and {second} have no verdict in common: no question, turn and model that both have judged in "
            "the same mode."
        )
    same, others = _answers(first, second, models)
    return Comparison(_side(first, one, other), _side(second, other, one), scores, wins, same + others, others)


def _judged(folder: Path, judge: str | None, models: Sequence[str]) -> Judged:
    whole = read_folder(folder)
    if judge is None and len(whole.judges) > 1:
        raise SetupError(f"{folder} has several judges: {', '.join(whole.judges)}. Say which with --judges A,B.")
    if judge is not None and judge not in whole.judges:
        raise SetupError(f"{folder} has no verdicts of {judge!r}; its judges: {', '.join(whole.judges)}.")
    mine = whole.of(judge or whole.judges[0])
    if not models:
        return mine
    return replace(
        mine,
        single=[row for row in mine.single if row.model in models],
        pairs=[row for row in mine.pairs if {row.model_1, row.model_2} <= {*models}],
        failures=[row for row in mine.failures if {*row.models} <= {*models}],
    )


def _check_questions(first: Path, second: Path) -> None:
    asked = {row.question_id: row.turns for row in read_recorded(first / "question.jsonl", Question)}
    for row in read_recorded(second / "question.jsonl", Question):
        if asked.get(row.question_id, row.turns) != row.turns:
            raise SetupError(
                f"Question {row.question_id} of {second} is not that of {first}: only verdicts on the same questions "
                "can be compared."
            )


def _scores(judged: Judged) -> Numbers:
    found: dict[str, dict[Place, float]] = {}
    for row in judged.single:
        if row.score != FAILED:
            found.setdefault(row.model, {})[Place(row.question_id, row.turn)] = row.score
    return found


def _wins(judged: Judged) -> Numbers:
    worth = {Choice.A: 1.0, Choice.B: 0.0, Choice.TIE: 0.5}
    found: dict[str, dict[Place, float]] = {}
    for each in of_pairs(judged.pairs):
        item = each.item
        found.setdefault(item.model_a, {})[Place(item.question_id, item.turn, item.model_b)] = worth[each.choice]
        found.setdefault(item.model_b, {})[Place(item.question_id, item.turn, item.model_a)] = 1 - worth[each.choice]
    return found


def _part(one: Numbers, other: Numbers, agreement: Agreements | None, *, decided_once: bool = False) -> Part | None:
    """Where a verdict is on two models, its change is told of the first of them."""
    shared = {
        model: [place for place in places if place in other.get(model, {})] for model, places in sorted(one.items())
    }
    shifts = [_shift(model, one[model], other[model], places) for model, places in shared.items() if places]
    if not shifts:
        return None
    changes = [
        Change(model, place, one[model][place], other[model][place])
        for model, places in shared.items()
        for place in places
        if one[model][place] != other[model][place] and not (decided_once and place.other < model)
    ]
    return Part(
        tuple(sorted(shifts, key=lambda shift: -shift.first)),
        tuple(sorted(changes, key=lambda change: -abs(change.second - change.first))),
        agreement,
    )


def _shift(model: str, one: Mapping[Place, float], other: Mapping[Place, float], places: Sequence[Place]) -> Shift:
    apart = [other[place] - one[place] for place in places]
    number = len(places)
    return Shift(
        model,
        sum(one[place] for place in places) / number,
        sum(other[place] for place in places) / number,
        mean(apart, coded(place.question_id for place in places)),
        number,
        apart.count(0.0),
    )


def _agreement(one: Iterable[Opinion], other: Iterable[Opinion]) -> Agreements | None:
    """Both sides may have the same judge, so they go by their side here."""
    said = [*(replace(each, kind=FIRST) for each in one), *(replace(each, kind=SECOND) for each in other)]
    found = agreements(said, FIRST, SECOND)
    return found if found.with_ties.random is not None else None


def _side(folder: Path, mine: Judged, others: Judged) -> Side:
    rows: list[SingleVerdict | PairVerdict] = [*mine.single, *mine.pairs]
    return Side(
        folder.resolve().name,
        rows[0].judge[0],
        tuple(sorted({row.judge[1] for row in rows})),
        len(rows),
        len(_placed(mine) - _placed(others)),
        len(mine.failures),
    )


def _placed(judged: Judged) -> set[tuple[str, Place]]:
    """What has a verdict; a pair stands under the first of its models."""
    return {
        (model, place)
        for numbers in (_scores(judged), _wins(judged))
        for model, places in numbers.items()
        for place in places
        if not place.other or model < place.other
    }


def _answers(first: Path, second: Path, models: Sequence[str]) -> tuple[int, int]:
    """How many answers in both folders are the same, and how many are not."""
    one, other = (_first_choices(folder / "model_answer", models) for folder in (first, second))
    alike = [one[key] == other[key] for key in one.keys() & other.keys()]
    return sum(alike), len(alike) - sum(alike)


def _first_choices(folder: Path, models: Sequence[str]) -> Mapping[tuple[str, QuestionId], tuple[str, ...]]:
    rows = [row for file in sorted(folder.glob("*.jsonl")) for row in read_recorded(file, Answer)]
    chosen = [row for row in rows if row.choices and (not models or row.model_id in models)]
    return {(row.model_id, row.question_id): row.choices[0].turns for row in chosen}
