"""What is wrong with a configuration: all of it at once, each with the place it was found at."""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fastchat.arena.config import ArenaConfig
from fastchat.core.errors import SetupError
from fastchat.launcher.config import Config, HostedModel, LocalModel

Place: TypeAlias = tuple[int | str, ...]  # keys and indices from the top: ("models", 0, "slots")

_SECTIONS: dict[str, type[BaseModel]] = {"local": LocalModel, "hosted": HostedModel}
_YAML_WORDS = {  # pydantic speaks of Python's types, the reader of the file thinks in YAML's
    "tuple_type": "it should be a list",
    "dict_type": "it should be a mapping",
    "model_type": "it should be a mapping",
    "model_attributes_type": "it should be a mapping",
}


@dataclass(frozen=True, slots=True)
class Problem:
    message: str
    place: Place = ()

    def __str__(self) -> str:
        return f"{spell(self.place)}: {self.message}" if self.place else self.message


def nowhere(place: Place) -> str:
    """Locates what was read from no file."""
    return ""


class ConfigProblems(SetupError):
    """`locate` turns a place into what stands before the message: the file and line it was read from."""

    def __init__(self, problems: Sequence[Problem], locate: Callable[[Place], str] = nowhere) -> None:
        super().__init__("\n".join(f"{locate(problem.place)}{problem}" for problem in problems))


def spell(place: Place) -> str:
    """("models", 0, "slots") → models[0].slots"""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def problems_of(error: ValidationError) -> list[Problem]:
    return [_problem(details) for details in error.errors(include_url=False)]


def _section_of(place: Place) -> type[BaseModel]:
    """Whose key the last of the place is."""
    if place[:1] != ("arenas",):
        return next((_SECTIONS[str(part)] for part in place if part in _SECTIONS), Config)
    section: type[BaseModel] = ArenaConfig
    for part in place[2:-1]:
        field = section.model_fields.get(str(part))
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), section)
    return section


def _problem(details: ErrorDetails) -> Problem:
    section = _section_of(details["loc"])
    place = tuple(part for part in details["loc"] if part not in _SECTIONS)
    if details["type"] == "extra_forbidden":
        return Problem(_unknown_key(str(place[-1]), section), place)
    if details["type"] == "missing":
        return Problem(f"{place[-1]!r} is missing", place[:-1])
    return Problem(_in_words(details, place), place)


def _unknown_key(key: str, section: type[BaseModel]) -> str:
    allowed = sorted(section.model_fields)
    close = difflib.get_close_matches(key, allowed, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"there is no such key; {hint}Allowed here: {', '.join(allowed)}"


def _in_words(details: ErrorDetails, place: Place) -> str:
    text = _YAML_WORDS.get(details["type"]) or details["msg"].removeprefix("Value error, ")
    text = text.replace("Input should", "it should")
    if any(str(part).startswith("api_key") for part in place) or isinstance(details["input"], BaseModel | dict):
        return text  # a key is not repeated, and a whole section would hide the message
    return f"{_short(details['input'])} was given; {text}"


def _short(value: Any) -> str:  # Any: whatever stood in the file
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
