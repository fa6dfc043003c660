"""Votes as what is learned from them: pairs for DPO and reward models, rated answers for KTO.

    prompt      what both conversations begin with, up to the question that they answer differently
    chosen      what the winner said from there on; rejected: the loser

A vote that nothing can be learned from is left out, and the report says how many there were and why. Where votes come
from is not known here: whoever reads them hands them over.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from fastchat.data.records import Message, Preference, Rated
from fastchat.train.preference_rules import Choice, is_held_out, last_of_each_conversation, rules
from fastchat.train.voted_battles import Comparison, Incomparable, VotedBattle, compared

NAMES_KNOWN = "the voter knew the names"
EARLIER = "a later vote on the same conversation counts"


@dataclass(frozen=True, slots=True)
class LeftOut:
    why: str
    votes: int


@dataclass(frozen=True, slots=True)
class Report:
    votes: int  # that were read
    left_out: tuple[LeftOut, ...]  # in the order in which it was asked
    trained: int  # votes that are learned from
    held_out: int
    wins: Mapping[str, int] = field(default_factory=dict)  # of those that are learned from, by model
    choice: Mapping[str, Any] = field(default_factory=dict)  # Any: plain JSON

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Selection(NamedTuple):
    """The two have no first question in common."""

    train: tuple[Comparison, ...]
    held_out: tuple[Comparison, ...]
    report: Report


class _Prompted(Protocol):
    @property
    def prompt(self) -> Sequence[Message]: ...


P = TypeVar("P", bound=_Prompted)


class Sides(NamedTuple, Generic[P]):
    train: tuple[P, ...]
    held_out: tuple[P, ...]


def split(lessons: Iterable[P], held_out: float) -> Sides[P]:
    """By the first question: see `preference_rules.is_held_out`."""
    sides: tuple[list[P], list[P]] = ([], [])
    for lesson in lessons:
        sides[is_held_out(lesson.prompt, held_out)].append(lesson)
    return Sides(*map(tuple, sides))


def select(
    battles: Iterable[VotedBattle],
    choice: Choice,
    *,
    held_out: float,
    seed: int,
    with_ties: bool = False,
    left_before: Sequence[LeftOut] = (),
) -> Selection:
    """
    Args:
        held_out: share of the questions that never enter training, whatever the seed.
        with_ties: keep votes for both and for neither, for KTO.
        left_before: what whoever read the votes left out.
    """
    given = list(battles)
    left = list(left_before)
    kept = [battle for battle in given if battle.is_blind or not choice.blind_only]
    left.append(LeftOut(NAMES_KNOWN, len(given) - len(kept)))
    last = last_of_each_conversation(kept)
    left.append(LeftOut(EARLIER, len(kept) - len(last)))
    comparisons, incomparable = [], Counter[str]()
    for battle in last:
        try:
            comparisons.append(compared(battle))
        except Incomparable as reason:
            incomparable[str(reason)] += 1
    left += [LeftOut(why, votes) for why, votes in incomparable.items()]
    for rule in rules(choice, with_ties=with_ties, seed=seed):
        before, comparisons = len(comparisons), rule.keep(comparisons)
        left.append(LeftOut(rule.why, before - len(comparisons)))
    train, kept_back = split(comparisons, held_out)
    report = Report(
        votes=len(given) + sum(one.votes for one in left_before),
        left_out=tuple(one for one in left if one.votes),
        trained=len(train),
        held_out=len(kept_back),
        wins=dict(Counter(one.winner for one in train if one.winner).most_common()),
        choice={**choice.model_dump(mode="json"), "held_out": held_out, "seed": seed, "with_ties": with_ties},
    )
    return Selection(train, kept_back, report)


def preference(one: Comparison) -> Preference:
    """Of a vote for one of the two."""
    assert one.is_decided
    battle = one.battle
    return Preference(battle.vote_id, one.prompt, one.chosen, one.rejected, (battle.vote_id,), battle.source)


def rated(one: Comparison) -> tuple[Rated, Rated]:
    """Both answers: of a tie both are wanted, and neither where both were bad."""
    battle = one.battle
    wanted = {"a": (True, False), "b": (False, True), "tie": (True, True), "both_bad": (False, False)}[battle.outcome]
    first, second = (
        Rated(f"{battle.vote_id}-{side}", one.prompt, answer, is_wanted, (battle.vote_id,), battle.source)
        for side, answer, is_wanted in zip("ab", (one.answer_a, one.answer_b), wanted, strict=True)
    )
    return first, second
