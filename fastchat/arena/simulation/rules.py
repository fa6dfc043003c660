"""What a simulated voter likes: a worth for each answer, and how surely the better one gets the vote.

    P(left is preferred) = 1 / (1 + exp(-sharpness · (worth(left) - worth(right))))

which is a Bradley-Terry voter. Answers whose worths differ by no more than `tie_margin` are a tie, or both bad if both
are below `floor`.
"""

import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastchat.arena.records import Outcome
from fastchat.core.errors import SetupError

_NO_ANSWER = -3.0
_WORD = re.compile(r"\w+")
_ENDS_WHOLE = re.compile(r"[.!?…。！？)\]}`\"'”»]\s*$")


@dataclass(frozen=True, slots=True)
class Rule:
    statement: str  # goes with every vote
    worth: Callable[[str], float]
    sharpness: float = 2.0
    tie_margin: float = 0.05
    floor: float = -2.5

    def vote(self, left: str, right: str, dice: random.Random) -> Outcome:
        one, other = self.worth(left), self.worth(right)
        if abs(one - other) <= self.tie_margin:
            return Outcome.BOTH_BAD if max(one, other) < self.floor else Outcome.TIE
        prefers_left = (
            dice.random() < (1 + math.tanh(self.sharpness * (one - other) / 2)) / 2
        )  # the same, without overflow
        return Outcome.LEFT if prefers_left else Outcome.RIGHT


def parse_rule(text: str) -> Rule:
    """`NAME` or `NAME:PARAMETER`.

    Raises:
        SetupError: there is no such rule, or its parameter is wrong.
    """
    name, _, parameter = text.partition(":")
    if name not in _RULES:
        raise SetupError(f"There is no rule {text!r}. Rules: {', '.join(_RULES.values())}.")
    return _MAKERS[name](parameter)


def _concise(parameter: str) -> Rule:
    words = _whole_number(parameter or "40", "concise")

    def worth(answer: str) -> float:
        """0 at most, less by the logarithm of how much too long it is; an answer that is cut off is none."""
        said = len(_WORD.findall(answer))
        if said < 3 or not _ENDS_WHOLE.search(answer):
            return _NO_ANSWER
        return max(_NO_ANSWER, -max(0.0, math.log(said / words)))

    return Rule(f"simulated voter: prefers whole answers of no more than {words} words", worth)


def _holds(parameter: str) -> Rule:
    if not parameter:
        raise SetupError("The rule holds needs a text: holds:TEXT.")
    wanted = parameter.casefold()
    statement = f"simulated voter: prefers answers that hold {parameter!r}"
    return Rule(statement, lambda answer: float(wanted in answer.casefold()))


def _whole_number(text: str, rule: str) -> int:
    if not text.isdecimal() or not int(text):
        raise SetupError(f"{rule}:{text}: {text!r} is no number of words. Allowed: 1 and more, as in {rule}:40.")
    return int(text)


_RULES: Mapping[str, str] = {"concise": "concise[:WORDS]", "holds": "holds:TEXT"}
_MAKERS: Mapping[str, Callable[[str], Rule]] = {"concise": _concise, "holds": _holds}
