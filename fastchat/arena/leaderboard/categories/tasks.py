"""What a model is asked of a prompt, and how its answer is read: the labels that FastChat's classifiers gave.

The questions are files beside this one, in words of our own; the digest of its words is a question's version.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from secrets import token_hex

from fastchat.arena.leaderboard.categories.label_file import Values

CRITERIA = (
    "specificity", "domain_knowledge", "complexity", "problem_solving", "creativity", "technical_accuracy",
    "real_world",
)  # fmt: skip
HARD_FROM = 6  # criteria of the seven
FOLLOWING_FROM = 4  # of a score from 0 to 5
LONGEST = 12_500  # characters of a prompt that are shown; FastChat's

_LIST = re.compile(r"\[([\s\d,]*)\]")
_SCORE = re.compile(r"<score>\s*(\d+)\s*</score>", re.IGNORECASE)
_DECISION = re.compile(r"<decision>\s*(yes|no)\s*</decision>", re.IGNORECASE)


class Unreadable(Exception):
    """An answer that is none of those asked for, or several at once."""


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    about: str
    read: Callable[[str], Values]  # raises Unreadable

    @property
    def words(self) -> str:
        return (files(__package__) / "tasks" / f"{self.name}.md").read_text("utf-8")

    @property
    def version(self) -> str:
        return hashlib.sha256(self.words.encode()).hexdigest()[:8]

    def question(self, text: str) -> str:
        # Whoever wrote the text cannot know the fence, so cannot pretend that it has ended.
        return self.words.format(fence=token_hex(8), text=text[:LONGEST])


def _criteria(answer: str) -> Values:
    numbers = {int(number) for number in re.findall(r"\d+", _only(_LIST, answer))}
    if not numbers <= set(range(1, len(CRITERIA) + 1)):
        raise Unreadable
    return {name: number in numbers for number, name in enumerate(CRITERIA, 1)}


def _following(answer: str) -> Values:
    score = int(_only(_SCORE, answer))
    if score > 5:
        raise Unreadable
    return {"if": score >= FOLLOWING_FROM, "score": score}


def _decided(name: str) -> Callable[[str], Values]:
    def read(answer: str) -> Values:
        return {name: _only(_DECISION, answer).lower() == "yes"}

    return read


def _only(pattern: re.Pattern[str], answer: str) -> str:
    """What it finds. The same thing twice is one; two different ones are no answer."""
    found: set[str] = {match.strip() for match in pattern.findall(answer)}
    if len(found) != 1:
        raise Unreadable
    return found.pop()


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("criteria", "seven criteria; six of them make a hard prompt", _criteria),
        Task("if", "how much depends on following instructions, 0 to 5; from 4 on it is one", _following),
        Task("math", "whether it takes mathematics", _decided("math")),
        Task("creative_writing", "whether something invented shall be written", _decided("creative_writing")),
    )
}
