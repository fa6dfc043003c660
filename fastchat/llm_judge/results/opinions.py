"""Who said what about two answers: people and judges in one form, to compare them.

FastChat's vote files are JSON lists, or lines, of
{"question_id": 81, "model_a": "x", "model_b": "y", "winner": "model_a", "judge": "expert_3", "turn": 1}
where the judge of a model is ["gpt-4", "pair-v2"]. Files of judgments are taken as well, those of people among them.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import read_recorded
from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.records import ListVerdict, PairVerdict, Row, SingleVerdict
from fastchat.llm_judge.results.games import BY_HAND, agreed, is_by_hand, is_readable
from fastchat.llm_judge.results.lists import ranks
from fastchat.llm_judge.results.reading import latest, pair_key, single_key
from fastchat.llm_judge.results.scores import FAILED
from fastchat.ranking.comparisons import Outcome

HUMAN, AUTHOR = "human", "author"


class Choice(StrEnum):
    A = "model_a"
    B = "model_b"
    TIE = "tie"


class Item(NamedTuple):
    """What is judged. Of two names, the one that the alphabet has first is a."""

    question_id: QuestionId
    turn: int
    model_a: str
    model_b: str


@dataclass(frozen=True, slots=True)
class Opinion:
    item: Item
    choice: Choice
    judge: str  # one person, or one model
    kind: str  # human, author, gpt4-pair, …


def opinion(item: Item, choice: Choice, judge: str, kind: str) -> Opinion:
    """Of models in any order."""
    swapped = {Choice.A: Choice.B, Choice.B: Choice.A, Choice.TIE: Choice.TIE}
    if item.model_a < item.model_b:
        return Opinion(item, choice, judge, kind)
    return Opinion(item._replace(model_a=item.model_b, model_b=item.model_a), swapped[choice], judge, kind)


class Vote(Row):
    question_id: int | str
    model_a: str
    model_b: str
    winner: str
    judge: str | tuple[str, ...] = HUMAN
    turn: int = 1


def read_votes(path: Path) -> list[Opinion]:
    """Of a judgment that stands there twice, the last counts.

    Raises:
        SetupError: the file is none of these, or a vote lacks something; the message says which.
    """
    rows = _loaded(path)
    fields = set(rows[0]) if rows and isinstance(rows[0], dict) else set()
    if {"model_1", "model_2"} <= fields:
        return list(of_pairs(latest(read_recorded(path, PairVerdict), pair_key)))
    if {"model", "score"} <= fields:
        return list(of_scores(latest(read_recorded(path, SingleVerdict), single_key)))
    return [_opinion(path, number, row) for number, row in enumerate(rows, 1)]


def _loaded(path: Path) -> list[Any]:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    except json.JSONDecodeError as error:
        raise SetupError(f"{path} is neither a JSON list nor JSON lines: {error}.") from None
    return list(found)


def _opinion(path: Path, number: int, row: object) -> Opinion:
    try:
        vote = Vote.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the vote"
        raise SetupError(f"{path}, vote {number}: {place}: {first['msg']}.") from None
    if vote.model_a == vote.model_b:
        raise SetupError(f"{path}, vote {number}: {vote.model_a!r} is compared with itself.")
    # FastChat has several ties: "tie", "tie (bothbad)", "tie (inconsistent)".
    winner = Choice.TIE if vote.winner.startswith(Choice.TIE) else vote.winner
    if winner not in list(Choice):
        raise SetupError(f"{path}, vote {number}: the winner is {vote.winner!r}; it is model_a, model_b or a tie.")
    judge = vote.judge if isinstance(vote.judge, str) else " ".join(vote.judge)
    item = Item(vote.question_id, vote.turn, vote.model_a, vote.model_b)
    return opinion(item, Choice(winner), judge, _kind(vote.judge))


def _kind(judge: str | tuple[str, ...]) -> str:
    """FastChat's names: gpt4-pair, human, author."""
    if isinstance(judge, str):
        return AUTHOR if judge.startswith(AUTHOR) else HUMAN
    if judge[1:] == (BY_HAND,):
        return HUMAN
    model = "gpt4" if judge[0] == "gpt-4" else judge[0]
    return "-".join([model, *(prompt.split("-")[0] for prompt in judge[1:])])


def of_pairs(rows: Iterable[PairVerdict]) -> Iterator[Opinion]:
    sides = {Outcome.LEFT: Choice.A, Outcome.RIGHT: Choice.B, Outcome.TIE: Choice.TIE}
    for row in rows:
        if is_readable(row):
            item = Item(row.question_id, row.turn, row.model_1, row.model_2)
            yield opinion(item, sides[agreed(row)], row.judge[0], _of_mode(row.judge, "pair"))


def of_scores(rows: Iterable[SingleVerdict]) -> Iterator[Opinion]:
    """Of two answers to a question the one with the higher score is chosen."""
    by_turn: dict[tuple[str, str, QuestionId, int], dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.score != FAILED:
            by_turn[row.judge[0], _of_mode(row.judge, "single"), row.question_id, row.turn][row.model] = row.score
    for (judge, kind, question, turn), scores in by_turn.items():
        for models in combinations(sorted(scores), 2):
            left, right = (scores[model] for model in models)
            choice = Choice.TIE if left == right else Choice.A if left > right else Choice.B
            yield opinion(Item(question, turn, *models), choice, judge, kind)


def of_lists(rows: Iterable[ListVerdict]) -> Iterator[Opinion]:
    """Of two answers the one that stands higher in both orders is chosen; all else is a tie."""
    for row in rows:
        games = [ranks(row.g1_ranking), ranks(row.g2_ranking)]
        for models in combinations(sorted(row.models), 2):
            found = {_higher(*(game[model] for model in models)) for game in games}
            choice = found.pop() if len(found) == 1 else Choice.TIE
            yield opinion(Item(row.question_id, row.turn, *models), choice, row.judge[0], _of_mode(row.judge, "list"))


def _higher(a: float, b: float) -> Choice:
    return Choice.TIE if a == b else Choice.A if a < b else Choice.B


def by_hand(single: Iterable[SingleVerdict], pairs: Iterable[PairVerdict]) -> list[Opinion]:
    """Of people who graded in the folder, one a person and item: what they chose of a pair goes before their scores."""
    found = [*of_scores(row for row in single if row.judge[1] == BY_HAND), *of_pairs(filter(is_by_hand, pairs))]
    return list({(each.judge, each.item): each for each in found}.values())


def _of_mode(judge: tuple[str, str], mode: str) -> str:
    """Judges have several prompts, and are one kind."""
    return HUMAN if judge[1] == BY_HAND else _kind((judge[0], mode))


def by_item(opinions: Iterable[Opinion]) -> Mapping[Item, list[Opinion]]:
    found: dict[Item, list[Opinion]] = defaultdict(list)
    for each in opinions:
        found[each.item].append(each)
    return found
