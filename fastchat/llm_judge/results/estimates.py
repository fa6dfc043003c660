"""Means and shares with intervals that allow for questions: what one question draws together counts as one draw.

Two turns of a question, two orders of a pair, and answers of all models to it stand and fall together. Errors are those
of sums by question, with Student's t, as there are a few dozen questions and not thousands (Miller 2024, "Adding Error
Bars to Evals").
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from fastchat.ranking.comparisons import Codes, Floats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    value: float
    error: float | None = None  # standard error; None: one question tells nothing of how questions differ
    lower: float | None = None
    upper: float | None = None


def coded(questions: Iterable[Hashable]) -> Codes:
    """Equal codes for equal questions, in the order in which they come."""
    places: dict[Hashable, int] = {}
    return np.array([places.setdefault(question, len(places)) for question in questions], dtype=np.int32)


def summed(pulls: Floats, questions: Codes) -> Floats:
    """(questions, …): what the items of each question add up to."""
    sums = np.zeros((int(questions.max()) + 1, *pulls.shape[1:]))
    np.add.at(sums, questions, pulls)
    return sums


def variance(pulls: Floats, questions: Codes) -> float | None:
    """Of an estimate that `pulls` move by so much each; they sum to zero. None: there is but one question."""
    number = len(np.unique(questions))
    if number < 2:
        return None
    return float(np.square(summed(pulls, questions)).sum()) * number / (number - 1)


def quantile(questions: Codes, confidence: float = CONFIDENCE) -> float:
    """How many errors an interval goes to each side."""
    return float(student.ppf((1 + confidence) / 2, max(len(np.unique(questions)) - 1, 1)))


def estimated(value: float, pulls: Floats, questions: Codes, confidence: float = CONFIDENCE) -> Estimate:
    """A value with the interval that follows from how much each item pulls at it."""
    square = variance(pulls, questions)
    if square is None:
        return Estimate(value)
    error = math.sqrt(square)
    half = quantile(questions, confidence) * error
    return Estimate(value, error, value - half, value + half)


def mean(values: Sequence[float] | Floats, questions: Codes, confidence: float = CONFIDENCE) -> Estimate:
    numbers = np.asarray(values, dtype=np.float64)
    value = float(numbers.mean())
    return estimated(value, (numbers - value) / len(numbers), questions, confidence)


def share(
    hits: Sequence[float] | Floats | NDArray[np.bool_], questions: Codes, confidence: float = CONFIDENCE
) -> Estimate:
    """Wilson's interval, which stays within 0 and 1, with as many items as they are worth where questions draw them
    together (Dean and Pagano 2015). Where all agree, each question counts once. A tie is half a hit."""
    return within_bounds(mean(np.asarray(hits, dtype=np.float64), questions, confidence), questions, confidence)


def within_bounds(plain: Estimate, questions: Codes, confidence: float = CONFIDENCE) -> Estimate:
    """A share with Wilson's interval in place of the plain one."""
    if plain.error is None:
        return plain
    value = plain.value
    worth = value * (1 - value) / plain.error**2 if plain.error > 0 else float(len(np.unique(questions)))
    square = quantile(questions, confidence) ** 2
    middle = (value + square / (2 * worth)) / (1 + square / worth)
    half = math.sqrt(square) / (1 + square / worth) * math.sqrt(value * (1 - value) / worth + square / (4 * worth**2))
    return Estimate(value, plain.error, max(0.0, middle - half), min(1.0, middle + half))
