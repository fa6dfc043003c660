"""What has to be judged: which answers to which question, which turn, with which prompt; and what was judged already.

FastChat's four groups, one after the other: the first turn without and with a reference, then later turns likewise. Of
an answer with several choices the first is judged, as FastChat does. Where a question brings a `checklist` (WildBench's
do) or a `rubric`, the answer to its last turn is judged by that.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from itertools import combinations
from typing import NamedTuple, TypeAlias

from fastchat.core.errors import SetupError
from fastchat.llm_judge.prompts import JudgePrompt, JudgePrompts
from fastchat.llm_judge.records import (
    Answer,
    Failure,
    Kind,
    ListVerdict,
    PairVerdict,
    Question,
    SingleVerdict,
    Verdict,
    Winner,
)
from fastchat.llm_judge.verdicts import LABELS

QuestionId: TypeAlias = int | str
Answers: TypeAlias = Mapping[str, Mapping[QuestionId, Answer]]  # of each model, by question
# FastChat's: an answer to these is right or wrong, which judges without a reference often miss.
REFERENCE_CATEGORIES = ("math", "reasoning", "coding", "arena-hard-200")
FAILED_ANSWER = "$ERROR$"  # FastChat's
_FAILED_SCORE = -1  # FastChat's
_FEWEST_IN_A_LIST = 3  # two are a pair
_WINNERS = {str(winner) for winner in Winner if winner is not Winner.ERROR}


class Mode(StrEnum):
    SINGLE = "single"
    PAIRWISE_BASELINE = "pairwise-baseline"
    PAIRWISE_ALL = "pairwise-all"
    LIST = "list"

    @property
    def kind(self) -> Kind:
        return "single" if self is Mode.SINGLE else "list" if self is Mode.LIST else "pair"


class Key(NamedTuple):
    """By which a match is known again. Models are sorted: several are judged in both orders anyway."""

    question_id: QuestionId
    models: tuple[str, ...]
    judge: str
    prompt: str
    turn: int


class Criteria(NamedTuple):
    """By which answers to a question are judged, where it brings its own."""

    texts: tuple[str, ...] = ()
    is_checklist: bool = False


NO_CRITERIA = Criteria()


@dataclass(frozen=True, slots=True)
class Match:
    """One answer that is rated, two that are compared, or more that are ranked."""

    question: Question
    answers: tuple[Answer, ...]
    judge: str
    prompt: JudgePrompt
    turn: int = 1
    reference: tuple[str, ...] = ()  # one a turn; "" where there is none for a turn
    criteria: tuple[str, ...] = ()  # a rubric, or the points of a checklist

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(answer.model_id for answer in self.answers)

    @property
    def key(self) -> Key:
        return Key(self.question.question_id, tuple(sorted(self.models)), self.judge, self.prompt.name, self.turn)


def plan_matches(
    mode: Mode,
    questions: Sequence[Question],
    models: Sequence[str],
    answers: Answers,
    judge: str,
    prompts: JudgePrompts,
    *,
    baseline: str | None = None,
    references: Mapping[QuestionId, Answer] | None = None,
) -> tuple[Match, ...]:
    """`references` are answers of `reference_answer/JUDGE.jsonl`, which go before those that stand in the questions.

    Raises:
        SetupError: the models make no match in this mode, or answers are missing, which it lists.
    """
    groups = _contestants(mode, models, baseline)
    _check_answers(questions, sorted({model for group in groups for model in group}), answers)
    references = references or {}
    choose = {"single": prompts.single, "pair": prompts.pairwise, "list": prompts.listwise}[mode.kind]
    turns = [(question, turn) for question in questions for turn in range(1, len(question.turns) + 1)]
    matches = []
    for question, turn in turns:
        reference = reference_for(question, turn, references.get(question.question_id))
        criteria, is_checklist = criteria_of(question) if turn == len(question.turns) else NO_CRITERIA
        prompt = prompts.by_criteria(mode.kind, is_checklist) if criteria else choose(turn, bool(reference))
        for group in groups:
            shown = shuffled(group, question.question_id, turn) if mode is Mode.LIST else group
            own = tuple(answers[model][question.question_id] for model in shown)
            matches.append(Match(question, own, judge, prompt, turn, reference, criteria))
    return tuple(sorted(matches, key=lambda match: (match.turn, bool(match.reference))))


def shuffled(models: Iterable[str], question_id: QuestionId, turn: int) -> tuple[str, ...]:
    """The same for the same models, whoever comes first among them; another for another question or turn."""

    def draw(model: str) -> bytes:
        return sha256(json.dumps([question_id, turn, model]).encode()).digest()

    return tuple(sorted(models, key=draw))


def reference_for(question: Question, turn: int, answer: Answer | None = None) -> tuple[str, ...]:
    """Up to this turn; empty where there is none at all."""
    given = answer.choices[0].turns if answer and answer.choices else question.reference or ()
    shown = tuple(given[:turn]) + ("",) * (turn - len(given))
    return shown if any(shown) else ()


def criteria_of(question: Question) -> Criteria:
    """
    Raises:
        SetupError: they are something else than texts.
    """
    given = question.model_extra or {}
    for name in ("checklist", "rubric"):
        if (found := given.get(name)) is None:
            continue
        texts = [found] if isinstance(found, str) else found
        if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts):
            raise SetupError(f"Question {question.question_id}: its {name} has to be a text or a list of texts.")
        if texts:
            return Criteria(tuple(texts), name == "checklist")
    return NO_CRITERIA


def without_reference(matches: Iterable[Match]) -> list[QuestionId]:
    """Questions that have one truth, and nobody told the judge."""
    found = (match.question for match in matches if not match.reference)
    return list(dict.fromkeys(each.question_id for each in found if each.category in REFERENCE_CATEGORIES))


def key_of(row: Verdict | Failure) -> Key:
    if isinstance(row, SingleVerdict):
        models: tuple[str, ...] = (row.model,)
    elif isinstance(row, PairVerdict):
        models = (row.model_1, row.model_2)
    else:
        models = row.models
    return Key(row.question_id, tuple(sorted(models)), *row.judge, row.turn)


def judged(rows: Iterable[Verdict]) -> set[Key]:
    """Those that need not be asked again. What FastChat wrote down as a failure was not judged."""
    return {key_of(row) for row in rows if not _has_failed(row)}


def _has_failed(row: Verdict) -> bool:
    if isinstance(row, SingleVerdict):
        return row.score == _FAILED_SCORE
    if isinstance(row, ListVerdict):
        return False
    return not {row.g1_winner, row.g2_winner} <= _WINNERS  # what stands there by another's hand may be anything


def _contestants(mode: Mode, models: Sequence[str], baseline: str | None) -> list[tuple[str, ...]]:
    models = list(dict.fromkeys(models))
    if mode is Mode.SINGLE:
        groups: list[tuple[str, ...]] = [(model,) for model in models]
    elif mode is Mode.PAIRWISE_ALL:
        groups = list(combinations(models, 2))
    elif mode is Mode.LIST:
        _check_list(models)
        groups = [tuple(models)]
    elif baseline is None:
        raise SetupError(f"{mode} compares each model with one and the same. Name it with --baseline MODEL.")
    else:
        groups = [(model, baseline) for model in models if model != baseline]
    if not groups:
        given = ", ".join(models) or "no model"
        needed = "two models" if mode is Mode.PAIRWISE_ALL else "a model"
        beside = f" other than the baseline {baseline}" if mode is Mode.PAIRWISE_BASELINE else ""
        raise SetupError(f"{mode} needs {needed}{beside}; given: {given}. Name them with --models A,B.")
    return groups


def _check_list(models: Sequence[str]) -> None:
    if len(models) < _FEWEST_IN_A_LIST:
        given = ", ".join(models) or "no model"
        raise SetupError(
            f"list ranks {_FEWEST_IN_A_LIST} models or more; given: {given}. Name them with --models A,B,C, or compare "
            "two with --mode pairwise-all."
        )
    if len(models) > len(LABELS):
        raise SetupError(
            f"list calls answers by a letter, so it ranks {len(LABELS)} models at most; given: {len(models)}. Name "
            "fewer with --models A,B,C, or compare them with --mode pairwise-baseline --baseline MODEL."
        )


def _check_answers(questions: Sequence[Question], models: Sequence[str], answers: Answers) -> None:
    missing = {model: list(_unanswered(questions, answers.get(model, {}))) for model in models}
    listed = [
        f"{model}: {len(ids)} of {len(questions)} questions ({', '.join(map(str, ids[:20]))}{', …' * (len(ids) > 20)})"
        for model, ids in missing.items()
        if ids
    ]
    if listed:
        raise SetupError(
            "Answers are missing, so there is nothing to judge.\n  "
            + "\n  ".join(listed)
            + "\nWrite them first with `fastchat bench answer`, or choose questions with --question-begin and "
            "--question-end."
        )


def _unanswered(questions: Sequence[Question], answers: Mapping[QuestionId, Answer]) -> Iterator[QuestionId]:
    for question in questions:
        answer = answers.get(question.question_id)
        said = answer.choices[0].turns if answer and answer.choices else ()
        if len(said) < len(question.turns) or FAILED_ANSWER in said:
            yield question.question_id
