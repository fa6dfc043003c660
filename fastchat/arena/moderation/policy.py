"""What is done about judgements: pure functions, for the service to act on and the page to put into words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from fastchat.arena.moderation.base import Judgement
from fastchat.arena.records import Mark

Action: TypeAlias = Literal["pass", "withhold"]  # withheld: a question is not asked, an answer is not shown
Notice: TypeAlias = Literal["question_flagged", "question_unchecked", "answer_flagged", "answer_unchecked"]

# What stands in the place of what is withheld, in English; pages translate by the notice's name.
NOTICES: Mapping[Notice, str] = {
    "question_flagged": "This question goes against the rules of this arena, so no model was asked. Try another one.",
    "question_unchecked": "Questions cannot be checked at the moment, so no model was asked. Try again later.",
    "answer_flagged": "This answer is not shown: it goes against the rules of this arena.",
    "answer_unchecked": "This answer is not shown: it could not be checked.",
}


@dataclass(frozen=True, slots=True)
class Policy:
    on_flagged_question: Literal["mark", "refuse"] = "refuse"
    on_flagged_answer: Literal["mark", "replace"] = "replace"
    # allow: as if nothing had been found, though the mark `unmoderated` stays; flag: marked as flagged as well;
    # refuse: withheld.
    on_failure: Literal["allow", "flag", "refuse"] = "flag"


@dataclass(frozen=True, slots=True)
class Decision:
    action: Action = "pass"
    marks: frozenset[Mark] = frozenset()
    notice: Notice | None = None

    def __post_init__(self) -> None:
        assert (self.notice is None) == (self.action == "pass")


class Sides(NamedTuple):
    left: Decision
    right: Decision

    @property
    def marks(self) -> frozenset[Mark]:
        return self.left.marks | self.right.marks


def on_question(judgement: Judgement, policy: Policy) -> Decision:
    is_refused = judgement.is_flagged and policy.on_flagged_question == "refuse"
    return _decide(judgement, policy, Mark.FLAGGED_PROMPT, is_refused, "question_flagged", "question_unchecked")


def on_answer(judgement: Judgement, policy: Policy) -> Decision:
    is_replaced = judgement.is_flagged and policy.on_flagged_answer == "replace"
    return _decide(judgement, policy, Mark.FLAGGED_ANSWER, is_replaced, "answer_flagged", "answer_unchecked")


def on_answers(left: Judgement, right: Judgement, policy: Policy) -> Sides:
    """Each side by its own judgement: FastChat asked about the left one twice."""
    return Sides(on_answer(left, policy), on_answer(right, policy))


def _decide(
    judgement: Judgement, policy: Policy, mark: Mark, is_withheld: bool, flagged: Notice, unchecked: Notice
) -> Decision:
    marks: set[Mark] = set()
    if judgement.is_flagged or (judgement.is_failed and policy.on_failure == "flag"):
        marks.add(mark)
    if judgement.is_failed:
        marks.add(Mark.UNMODERATED)
    if is_withheld:
        return Decision("withhold", frozenset(marks), flagged)
    if judgement.is_failed and policy.on_failure == "refuse":
        return Decision("withhold", frozenset(marks), unchecked)
    return Decision("pass", frozenset(marks))
