"""Who said what about two answers: people and judges in one form, to compare them.

FastChat's vote files are JSON lists, or lines, of
{"question_id": 81, "model_a": "x", "model_b": "y", "winner": "model_a", "judge": "expert_3", "turn": 1}
where the judge of a model is ["gpt-4", "pair-v2"].
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from fastchat.core.errors import SetupError
from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.records import PairVerdict, Row, SingleVerdict
from fastchat.llm_judge.results.games import agreed, is_readable
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
    """
    Raises:
        SetupError: the file is neither, or a vote lacks something; the message says which.
    """
    return [_opinion(path, number, row) for number, row in enumerate(_loaded(path), 1)]


def _loaded(path: Path) -> list[Any]:
    text = path.read_text("utf-8")
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
    model = "gpt4" if judge[0] == "gpt-4" else judge[0]
    return "-".join([model, *(prompt.split("-")[0] for prompt in judge[1:])])


def of_pairs(rows: Iterable[PairVerdict]) -> Iterator[Opinion]:
    sides = {Outcome.LEFT: Choice.A, Outcome.RIGHT: Choice.B, Outcome.TIE: Choice.TIE}
    for row in rows:
        if is_readable(row):
            item = Item(row.question_id, row.turn, row.model_1, row.model_2)
            yield opinion(item, sides[agreed(row)], row.judge[0], _kind((row.judge[0], "pair")))


def of_scores(rows: Sequence[SingleVerdict]) -> Iterator[Opinion]:
    """Of two answers to a question the one with the higher score is chosen."""
    by_turn: dict[tuple[str, QuestionId, int], dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.score != FAILED:
            by_turn[row.judge[0], row.question_id, row.turn][row.model] = row.score
    for (judge, question, turn), scores in by_turn.items():
        for models in combinations(sorted(scores), 2):
            left, right = (scores[model] for model in models)
            choice = Choice.TIE if left == right else Choice.A if left > right else Choice.B
            yield opinion(Item(question, turn, *models), choice, judge, _kind((judge, "single")))


def by_item(opinions: Iterable[Opinion]) -> Mapping[Item, list[Opinion]]:
    found: dict[Item, list[Opinion]] = defaultdict(list)
    for each in opinions:
        found[each.item].append(each)
    return found
