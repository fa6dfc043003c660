"""Fields of a request that a model does not take: what is known beforehand, and what its refusals teach.

OpenAI's reasoning models refuse to be told a temperature, and have another name for the longest answer.
"""

import logging
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from fastchat.core.errors import UnsupportedParameter

log = logging.getLogger(__name__)

# What may be done without a field. Without a limit nobody could keep a budget, so that one is never left out.
_OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
_DISPENSABLE = frozenset({"temperature", "seed"})


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    host: str
    match: str
    leave_out: list[str] = []
    rename: dict[str, str] = {}


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: tuple[_Entry, ...]


@dataclass(slots=True)
class Fields:
    """What becomes of the fields of requests to one model."""

    left_out: set[str] = field(default_factory=set)
    renamed: dict[str, str] = field(default_factory=dict)

    def of(self, given: Mapping[str, Any]) -> dict[str, Any]:  # Any: JSON
        return {self.renamed.get(name, name): value for name, value in given.items() if name not in self.left_out}

    def learn(self, model: str, sent: Mapping[str, object], refusal: UnsupportedParameter) -> bool:
        """Whether the request is worth another try: the refused field was sent, and there is a way without it."""
        name = refusal.param
        if name is None or name not in sent:
            return False
        if name in self.renamed or name in self.left_out:
            return True  # others were in flight with it
        if name in _OTHER_NAMES:
            self.renamed[name] = _OTHER_NAMES[name]
        elif name in _DISPENSABLE:
            self.left_out.add(name)
        else:
            return False
        log.warning("%s takes no %s, and is asked without: %s", model, name, refusal.message)
        return True


class KnownFields:
    """By model, with what the table says of it to begin with. `whereabouts` gives host and name of a model there."""

    def __init__(self, whereabouts: Callable[[str], Iterable[tuple[str, str]]]) -> None:
        self._whereabouts = whereabouts
        self._fields: dict[str, Fields] = {}

    def of(self, model: str) -> Fields:
        if model not in self._fields:
            self._fields[model] = self._from_table(model)
        return self._fields[model]

    def _from_table(self, model: str) -> Fields:
        places = [(host, name.lower()) for host, name in self._whereabouts(model)]
        for entry in _table():
            if any(host == entry.host and fnmatchcase(name, entry.match) for host, name in places):
                return Fields(set(entry.leave_out), dict(entry.rename))
        return Fields()


@cache
def _table() -> tuple[_Entry, ...]:
    text = (files("fastchat.llm_judge") / "data" / "parameters.toml").read_text("utf-8")
    return _Table.model_validate(tomllib.loads(text)).model
