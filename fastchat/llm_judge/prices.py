"""What models cost, in US dollars per million tokens: a table that users can edit, or put one of their own before."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat.core.errors import SetupError

_EXAMPLE = '[[price]] match = "gpt-4o*" input = 2.5 output = 10'
_HEADER = re.compile(r"\s*\[\[\s*price\s*\]\]")


@dataclass(frozen=True, slots=True)
class Price:
    input: float
    output: float
    batch: float = 1.0  # the share of it that is paid where calls are sent as a batch

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """US dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1e6

    @property
    def in_batch(self) -> "Price":
        return Price(self.input * self.batch, self.output * self.batch)


_Usd: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    match: str = Field(min_length=1)  # a model's name, in which * stands for anything; letters' case does not matter
    input: _Usd
    output: _Usd
    batch: float = Field(1.0, ge=0, le=1)


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
                    return Price(entry.input, entry.output, entry.batch)
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
        problems = "\n".join(_problems(error, text.splitlines(), name))
        raise SetupError(f"{problems}\nAn entry looks so: {_EXAMPLE}") from None


def _problems(error: ValidationError, lines: Sequence[str], name: str) -> Iterator[str]:
    for item in error.errors(include_url=False):
        place = item["loc"]
        field = next((str(part) for part in reversed(place) if isinstance(part, str)), "")
        entry = place[1] if len(place) > 1 and isinstance(place[1], int) else None
        said = "there is no such field" if item["type"] == "extra_forbidden" else item["msg"]
        at = _line(lines, field, entry)
        yield f"{name}{f':{at}' if at else ''}: {field}: {said[0].lower()}{said[1:]}"


def _line(lines: Sequence[str], field: str, entry: int | None) -> int | None:
    """Where a field stands; where it is missing, its entry. None: the table is written in another way than ours."""
    headers = [at for at, line in enumerate(lines) if _HEADER.match(line)]
    if entry is not None and entry >= len(headers):
        return None
    begin = 0 if entry is None else headers[entry]
    end = next((at for at in headers if at > begin), len(lines))
    wanted = re.compile(rf"\s*[\"']?{re.escape(field)}[\"']?\s*=")
    found = next((at for at in range(begin, end) if wanted.match(lines[at])), None if entry is None else begin)
    return None if found is None else found + 1
