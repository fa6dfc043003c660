"""What models cost, in US dollars per million tokens: a table that users can edit, or put one of their own before."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, ValidationError

from fastchat.core.errors import SetupError


@dataclass(frozen=True, slots=True)
class Price:
    input: float
    output: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str  # a model's name, in which * stands for anything; letters' case does not matter
    input: NonNegativeFloat
    output: NonNegativeFloat


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    price: tuple[_Entry, ...]


class PriceList:
    """Entries in order; the first that matches holds."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries = entries
        self._found: dict[str, Price | None] = {}  # a run asks for the same few, for every call

    @classmethod
    def read(cls, own: Path | None = None) -> "PriceList":
        """Our table, with a user's before it.

        Raises:
            SetupError: the user's file is not there, or is no such table.
        """
        entries = [] if own is None else _parse(_text(own), str(own))
        ours = files("fastchat.llm_judge") / "data" / "prices.toml"
        return cls([*entries, *_parse(ours.read_text("utf-8"), "prices.toml")])

    def find(self, model: str) -> Price | None:
        """The price of a model, with or without its maker's name before it (`openai/gpt-…`); None: not known."""
        if model not in self._found:
            self._found[model] = self._look_up(model)
        return self._found[model]

    def _look_up(self, model: str) -> Price | None:
        for name in (model.lower(), model.lower().rpartition("/")[2]):
            for entry in self._entries:
                if fnmatchcase(name, entry.match.lower()):
                    return Price(entry.input, entry.output)
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"--prices {file} cannot be read: {error}.") from None


def _parse(text: str, name: str) -> Sequence[_Entry]:
    try:
        return _Table.model_validate(tomllib.loads(text)).price
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{name} is no TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SetupError(
            f'{name}, {place}: {first["msg"]}. An entry looks so: [[price]] match = "gpt-4o*" input = 2.5 output = 10'
        ) from None
