"""How often judges agree, as the MT-bench paper counts it (Zheng et al. 2023, appendix D.3), and beyond chance.

Agreement of two kinds of judges is the chance that two different judges of these kinds, drawn at random, agree on what
both have judged. Setup S1 has all votes, setup S2 those that are no tie. All pairs of votes are pooled, as in the
paper: what has many votes counts more.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from fastchat.llm_judge.results.estimates import Estimate, coded, estimated, quantile, within_bounds
from fastchat.llm_judge.results.opinions import Choice, Item, Opinion, by_item
from fastchat.ranking.comparisons import Codes, Floats

CHOICES = tuple(Choice)
_NO_ERROR = 1e-12  # what rounding leaves of nothing


@dataclass(frozen=True, slots=True)
class Agreement:
    share: Estimate
    agreed: float  # where a majority is split, a part of one
    total: float


@dataclass(frozen=True, slots=True)
class Setup:
    random: Agreement | None  # two judges at random; None: no two votes on the same answers
    majority: Agreement | None  # one of the first kind against most of the second


@dataclass(frozen=True, slots=True)
class Agreements:
    kinds: tuple[str, str]
    with_ties: Setup  # S1
    without_ties: Setup  # S2
    kappa: Estimate | None  # Cohen's, of two kinds
    alpha: Estimate | None  # Krippendorff's, of all votes of both, nominal
    ac1: Estimate | None  # Gwet's, which does not fall where nearly all votes are for one choice


def agreements(opinions: Iterable[Opinion], one: str, other: str) -> Agreements:
    items = by_item(each for each in opinions if each.kind in (one, other))
    decided = by_item(each for votes in items.values() for each in votes if each.choice is not Choice.TIE)
    return Agreements(
        (one, other),
        Setup(random_agreement(items, one, other), majority_agreement(items, one, other)),
        Setup(random_agreement(decided, one, other), majority_agreement(items, one, other, ties=False)),
        kappa=None if one == other else _beyond_chance(_pairs(items, one, other), cohen_kappa),
        alpha=_beyond_chance(_counts(items), krippendorff_alpha),
        ac1=_beyond_chance(_pairs(items, one, other), gwet_ac1),
    )


def random_agreement(items: Mapping[Item, Sequence[Opinion]], one: str, other: str) -> Agreement | None:
    tallies = []
    for item, votes in items.items():
        met = list(_met(votes, one, other))
        if met:
            tallies.append(_Tally(item, sum(mine.choice is its.choice for mine, its in met), len(met)))
    return _pooled(tallies)


def _met(votes: Sequence[Opinion], one: str, other: str) -> Iterator[tuple[Opinion, Opinion]]:
    if one == other:
        return combinations([vote for vote in votes if vote.kind == one], 2)
    return product([vote for vote in votes if vote.kind == one], [vote for vote in votes if vote.kind == other])


def majority_agreement(
    items: Mapping[Item, Sequence[Opinion]], one: str, other: str, ties: bool = True
) -> Agreement | None:
    """The majority is of all votes. Where several choices have most, each counts for its part; without ties, that of
    the tie is left out."""
    if one == other:
        return None
    tallies = []
    for item, votes in items.items():
        most = majority([vote.choice for vote in votes if vote.kind == other])
        mine = [vote.choice for vote in votes if vote.kind == one and (ties or vote.choice is not Choice.TIE)]
        counted = most if ties else most - {Choice.TIE}
        if counted and mine:
            agreed = sum((choice in counted) / len(most) for choice in mine)
            tallies.append(_Tally(item, agreed, len(mine) * len(counted) / len(most)))
    return _pooled(tallies)


def majority(choices: Iterable[Choice]) -> set[Choice]:
    counted = Counter(choices)
    return {choice for choice, number in counted.items() if number == max(counted.values())}


class _Tally(NamedTuple):
    item: Item
    agreed: float
    total: float


def _pooled(tallies: Sequence[_Tally]) -> Agreement | None:
    if not tallies:
        return None
    agreed = np.array([tally.agreed for tally in tallies], dtype=np.float64)
    total = np.array([tally.total for tally in tallies], dtype=np.float64)
    value = float(agreed.sum() / total.sum())
    pulls = (agreed - value * total) / total.sum()
    questions = coded(tally.item.question_id for tally in tallies)
    return Agreement(
        within_bounds(estimated(value, pulls, questions), questions), float(agreed.sum()), float(total.sum())
    )


class _Counted(NamedTuple):
    """Numbers of choices, (items, …), that a coefficient adds up, and the question of each item."""

    numbers: Floats
    questions: Codes


def _pairs(items: Mapping[Item, Sequence[Opinion]], one: str, other: str) -> _Counted:
    """(items, choices of the first kind, choices of the second)"""
    found = {item: list(_met(votes, one, other)) for item, votes in items.items()}
    met = {item: pairs for item, pairs in found.items() if pairs}
    numbers = np.zeros((len(met), len(CHOICES), len(CHOICES)))
    for at, pairs in enumerate(met.values()):
        for mine, its in pairs:
            numbers[at, CHOICES.index(mine.choice), CHOICES.index(its.choice)] += 1
    return _Counted(numbers, coded(item.question_id for item in met))


def _counts(items: Mapping[Item, Sequence[Opinion]]) -> _Counted:
    """(items, choices), of items with two votes or more."""
    shared = {item: votes for item, votes in items.items() if len(votes) > 1}
    numbers = np.zeros((len(shared), len(CHOICES)))
    for at, votes in enumerate(shared.values()):
        for vote in votes:
            numbers[at, CHOICES.index(vote.choice)] += 1
    return _Counted(numbers, coded(item.question_id for item in shared))


def cohen_kappa(numbers: Floats) -> float:
    """From (items, choices of one, choices of the other)."""
    table = numbers.sum(axis=0) / numbers.sum()
    chance = float(table.sum(axis=1) @ table.sum(axis=0))
    return _above(float(np.trace(table)), chance)


def gwet_ac1(numbers: Floats) -> float:
    """From (items, choices of one, choices of the other); two who agree by chance guess at what is hard to tell (Gwet
    2008)."""
    table = numbers.sum(axis=0) / numbers.sum()
    chosen = (table.sum(axis=0) + table.sum(axis=1)) / 2
    return _above(float(np.trace(table)), float(chosen @ (1 - chosen)) / (len(table) - 1))


def krippendorff_alpha(numbers: Floats) -> float:
    """Nominal, from (items, choices), of items with two votes or more each."""
    votes = numbers.sum(axis=1)
    total = votes.sum()
    agreed = float(((numbers * (numbers - 1)).sum(axis=1) / (votes - 1)).sum() / total)
    by_choice = numbers.sum(axis=0)
    return _above(agreed, float((by_choice * (by_choice - 1)).sum() / (total * (total - 1))))


def _above(agreed: float, chance: float) -> float:
    """1 where all always choose the same, which leaves nothing to chance."""
    return 1.0 if chance >= 1 else (agreed - chance) / (1 - chance)


def _beyond_chance(counted: _Counted, coefficient: Callable[[Floats], float]) -> Estimate | None:
    """The interval is the jackknife's, which leaves out one question at a time. There is none where all questions tell
    the same."""
    if len(counted.numbers) == 0:
        return None
    value = coefficient(counted.numbers)
    number = int(counted.questions.max()) + 1
    if number < 2:
        return Estimate(value)
    without = np.array([coefficient(counted.numbers[counted.questions != at]) for at in range(number)])
    error = float(np.sqrt((number - 1) / number * np.square(without - without.mean()).sum()))
    if error < _NO_ERROR:
        return Estimate(value)
    half = quantile(counted.questions) * error
    return Estimate(value, error, max(-1.0, value - half), min(1.0, value + half))
