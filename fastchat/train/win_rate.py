"""How often a judge prefers the tuned model's answer to the base's.

Who judges is handed in: a model that is asked in both orders, or a rule. This package knows neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fastchat.data.records import Message


@dataclass(frozen=True, slots=True)
class Question:
    """`messages` end with a user's."""

    id: str
    messages: Sequence[Message]


class Pair(NamedTuple):
    question: Question
    tuned: str
    base: str


class Judge(Protocol):
    def __call__(self, pairs: Sequence[Pair], step: int) -> Sequence[float | None]:
        """Of each pair 1 if the tuned model's answer is better, 0 if the base's is, ½ for a tie; None: no verdict.

        Raises:
            FastChatError: nothing can be judged now.
        """


class WinRate(NamedTuple):
    """A tie is half a win. The interval is Wilson's, of 95 %, over questions."""

    rate: float
    low: float
    high: float
    judged: int
    failed: int


def win_rate(scores: Sequence[float | None]) -> WinRate | None:
    """None: nothing was judged."""
    import numpy as np

    from fastchat.ranking.baselines import wilson

    found = [score for score in scores if score is not None]
    if not found:
        return None
    rate = sum(found) / len(found)
    low, high = wilson(np.array([rate]), np.array([float(len(found))]), 0.95)
    return WinRate(rate, float(low[0]), float(high[0]), len(found), len(scores) - len(found))
