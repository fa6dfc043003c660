"""Votes of an arena's battles as votes on a bench: where people asked its questions, and met two of its models.

The answers of a battle are not those of the bench: the same model wrote them, at another time. So they tell how people
see the two models on this question, and nothing of an answer that turned out well or badly.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastchat.llm_judge.matches import QuestionId
from fastchat.llm_judge.records import Question
from fastchat.llm_judge.results.opinions import HUMAN, Choice, Item, Opinion, opinion


class Battle(NamedTuple):
    """What is taken of one vote, wherever it was cast."""

    prompts: tuple[str, ...]  # all that was asked until the vote
    model_a: str
    model_b: str
    choice: Choice
    voter: str  # empty: nobody knows


@dataclass(frozen=True, slots=True)
class Battles:
    read: int
    matched: int  # on a question and two models of the bench
    votes: int  # that count: of a voter's several on the same, the last


def opinions_of(
    battles: Sequence[Battle], questions: Iterable[Question], models: Iterable[str]
) -> tuple[list[Opinion], Battles]:
    """A battle is on turn N of a question if all that was asked is its first N turns, whatever the case and blanks."""
    asked: dict[tuple[str, ...], tuple[QuestionId, int]] = {}
    for question in questions:
        for turn in range(1, len(question.turns) + 1):
            asked.setdefault(_plain(question.turns[:turn]), (question.question_id, turn))
    known = set(models)
    found: dict[object, Opinion] = {}
    matched = 0
    for number, battle in enumerate(battles):
        place = asked.get(_plain(battle.prompts))
        sides = {battle.model_a, battle.model_b}
        if place is None or len(sides) < 2 or not sides <= known:
            continue
        matched += 1
        voter = battle.voter or f"somebody {number}"
        vote = opinion(Item(*place, battle.model_a, battle.model_b), battle.choice, voter, HUMAN)
        found[voter, vote.item] = vote
    return list(found.values()), Battles(len(battles), matched, len(found))


def _plain(prompts: Iterable[str]) -> tuple[str, ...]:
    return tuple(" ".join(unicodedata.normalize("NFKC", prompt).casefold().split()) for prompt in prompts)
