"""What a judge said, read: a rating, which side is better, a ranking. What cannot be read is `Unreadable`, no number.

FastChat's forms are `[[7]]`, `[[8,6]]` for two ratings, and `[[A]]`, `[[B]]`, `[[C]]` for a tie; ours are `1. [[yes]]`,
`2. [[no]]` for the points of a checklist, and `[[B > A = C]]` for a ranking of all answers. Where a judge writes
several, the last is its verdict: the others are quotations, or thoughts on the way. Single brackets (`[7]`) count as
FastChat has it, but only where they are called a rating or stand on the last line by themselves: others are footnotes,
lists, places in an array. A reply that is a JSON object is read as that, by the schemas below.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_uppercase
from typing import Any, NamedTuple

from fastchat.llm_judge.records import Ranking

LABELS = ascii_uppercase  # of the answers in a list
NUMBER = r"\d+(?:\.\d*)?"
# What calls something in brackets a rating, in the same sentence and not far before it.
CALLED_A_RATING = (
    r"\b(?:rat(?:e|ed|ings?)|scor(?:e|es|ed|ing)|grad(?:e|es|ed|ing)|verdict|marks?)\b[^\[\]⟦⟧\n.!?;]{0,40}?(?<!\w)"
)
_RATING = re.compile(rf"\[\[({NUMBER})\]\]")
_TWO_RATINGS = re.compile(rf"\[\[({NUMBER}),\s?({NUMBER})\]\]")
_BY_ITSELF = r"(?:\A|\n)[ \t*]*"
_RATING_BACKUP = re.compile(
    rf"(?:{CALLED_A_RATING}|{_BY_ITSELF}(?=\[[^\]\n]*\][ \t*.]*\Z))\[({NUMBER})\]", re.IGNORECASE
)
_TWO_RATINGS_BACKUP = re.compile(
    rf"(?:{CALLED_A_RATING}|{_BY_ITSELF}(?=\[[^\]\n]*\][ \t*.]*\Z))\[({NUMBER}),\s?({NUMBER})\]", re.IGNORECASE
)
_WINNER = re.compile(r"\[\[([ABC])\]\]")
_POINT = re.compile(r"(?<!\d)(\d{1,4})\W{1,4}?\[\[(yes|no)\]\]", re.IGNORECASE)
RANKED = r"[A-Z](?:\s*[>=]\s*[A-Z]){1,25}"
_RANKING = re.compile(rf"\[\[\s*({RANKED})\s*\]\]")
_CODE_BLOCK = re.compile(r"\A```(?:json)?\s*(.*?)\s*```\Z", re.DOTALL)
_TIE_WITHIN = 0.1  # of two ratings; FastChat's


class Scale(NamedTuple):
    low: float
    high: float

    def at(self, share: float) -> float:
        return self.low + share * (self.high - self.low)


ONE_TO_TEN = Scale(1.0, 10.0)


class Side(StrEnum):
    A = "A"
    B = "B"
    TIE = "tie"


@dataclass(frozen=True, slots=True)
class Unreadable:
    reason: str


def read_rating(text: str, scale: Scale = ONE_TO_TEN) -> float | Unreadable:
    said = _conclusion(text)
    if isinstance(said, Unreadable):
        return said
    if isinstance(said, Mapping):
        return _rating_of(said, "rating", scale)
    found = _RATING.findall(said) or _RATING_BACKUP.findall(said)
    return _on_scale(float(found[-1]), scale) if found else Unreadable("there is no [[rating]] in it")


def read_winner(text: str) -> Side | Unreadable:
    said = _conclusion(text)
    if isinstance(said, Unreadable):
        return said
    if isinstance(said, Mapping):
        winner = said.get("winner")
        return Side(winner) if winner in tuple(Side) else Unreadable(f"its winner is {str(winner)[:40]!r}")
    found = _WINNER.findall(said)
    if not found:
        return Unreadable("there is no [[A]], [[B]] or [[C]] in it")
    if len(set(found)) == 3:
        return Unreadable("it has [[A]], [[B]] and [[C]], as if it repeated what it was told")
    return Side.TIE if found[-1] == "C" else Side(found[-1])


def read_two_ratings(text: str, scale: Scale = ONE_TO_TEN) -> Side | Unreadable:
    """Which is rated higher; nearly the same is a tie."""
    said = _conclusion(text)
    if isinstance(said, Unreadable):
        return said
    if isinstance(said, Mapping):
        a, b = _rating_of(said, "rating_a", scale), _rating_of(said, "rating_b", scale)
    elif found := _TWO_RATINGS.findall(said) or _TWO_RATINGS_BACKUP.findall(said):
        a, b = (_on_scale(float(number), scale) for number in found[-1])
    else:
        return Unreadable("there is no [[rating_a,rating_b]] in it")
    if isinstance(a, Unreadable):
        return a
    if isinstance(b, Unreadable):
        return b
    if abs(a - b) <= _TIE_WITHIN:
        return Side.TIE
    return Side.A if a > b else Side.B


def read_points(text: str, count: int) -> tuple[bool, ...] | Unreadable:
    """Of a checklist: which are met."""
    said = _conclusion(text)
    if isinstance(said, Unreadable):
        return said
    if isinstance(said, Mapping):
        points = said.get("points")
        if isinstance(points, list) and len(points) == count and all(isinstance(point, bool) for point in points):
            return tuple(points)
        return Unreadable(f"its points are not {count} times true or false")
    met = {int(number): word.lower() == "yes" for number, word in _POINT.findall(said)}
    if lacking := [str(number) for number in range(1, count + 1) if number not in met]:
        return Unreadable(f"there is no [[yes]] or [[no]] for {', '.join(lacking)} of {count} points")
    return tuple(met[number] for number in range(1, count + 1))


def read_ranking(text: str, count: int) -> Ranking | Unreadable:
    """Of `count` answers, by their letters: every one once."""
    said = _conclusion(text)
    if isinstance(said, Unreadable):
        return said
    if isinstance(said, Mapping):
        places = said.get("ranking")
        if not isinstance(places, list) or not all(isinstance(place, list) and place for place in places):
            return Unreadable("its ranking is no list of lists of letters")
        return _complete(tuple(tuple(str(label)[:40] for label in place) for place in places), count)
    found = _RANKING.findall(said)
    if not found:
        return Unreadable("there is no ranking like [[B > A = C]] in it")
    return _complete(tuple(tuple(re.findall("[A-Z]", place)) for place in found[-1].split(">")), count)


def _complete(ranking: Ranking, count: int) -> Ranking | Unreadable:
    named = [label for place in ranking for label in place]
    if unknown := [label for label in named if label not in tuple(LABELS[:count])]:
        return Unreadable(f"the ranking names {unknown[0]!r}, and the answers are A to {LABELS[count - 1]}")
    if lacking := [label for label in LABELS[:count] if label not in named]:
        return Unreadable(f"the ranking lacks {', '.join(lacking)}")
    if len(named) > count:
        return Unreadable(f"the ranking names {next(label for label in named if named.count(label) > 1)} twice")
    return ranking


def rating_schema(scale: Scale = ONE_TO_TEN) -> dict[str, Any]:
    return _schema(rating=_number(scale))


def winner_schema() -> dict[str, Any]:
    return _schema(winner={"type": "string", "enum": [str(side) for side in Side]})


def two_ratings_schema(scale: Scale = ONE_TO_TEN) -> dict[str, Any]:
    return _schema(rating_a=_number(scale), rating_b=_number(scale))


def points_schema(count: int) -> dict[str, Any]:
    return _schema(points={"type": "array", "items": {"type": "boolean"}, "minItems": count, "maxItems": count})


def ranking_schema(count: int) -> dict[str, Any]:
    place = {"type": "array", "items": {"type": "string", "enum": list(LABELS[:count])}, "minItems": 1}
    told = "the best first; letters of answers that are equally good share a list"
    return _schema(ranking={"description": told, "type": "array", "items": place, "minItems": 1, "maxItems": count})


def _schema(**verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation comes first: a judge that has to give a number at once can only justify it afterwards."""
    properties = {"explanation": {"type": "string"}, **verdict}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _number(scale: Scale) -> dict[str, Any]:
    return {"type": "number", "minimum": scale.low, "maximum": scale.high}


def _conclusion(text: str) -> str | Mapping[str, Any] | Unreadable:
    """What stands behind the thoughts of a judge that shows them: in these it weighs verdicts, it gives none."""
    _, closed, said = text.rpartition("</think>")
    if not closed and "<think>" in text:
        return Unreadable("it ends within its thoughts")
    block = _CODE_BLOCK.match(said := said.strip())
    said = block[1] if block else said
    if not said:
        return Unreadable("it is empty")
    if not said.startswith("{"):
        return said
    try:
        fields: dict[str, Any] = json.loads(said)
    except (ValueError, RecursionError):  # not to be searched for brackets: they would be quotations
        return Unreadable("it begins like JSON and is none")
    return fields


def _rating_of(fields: Mapping[str, Any], name: str, scale: Scale) -> float | Unreadable:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Unreadable(f"its {name} is {str(value)[:40]!r}, not a number")
    try:
        return _on_scale(float(value), scale)
    except OverflowError:
        return Unreadable(f"the rating is not from {scale.low:g} to {scale.high:g}")


def _on_scale(value: float, scale: Scale) -> float | Unreadable:
    if scale.low <= value <= scale.high:
        return value
    return Unreadable(f"the rating {value:g} is not from {scale.low:g} to {scale.high:g}")
