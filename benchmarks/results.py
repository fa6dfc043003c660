"""What a benchmark found, as it stands in `results/NAME.json`: tables, and the aims with what was measured."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

ItemT = TypeVar("ItemT")
ValueT = TypeVar("ValueT")


def _known(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


Cell: TypeAlias = Annotated[str | float | None, BeforeValidator(_known)]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class Table(_Stored):
    title: str
    note: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Aim(_Stored):
    """Something the project set out to reach. `key` finds its explanation in `explanations.toml`."""

    key: str
    text: str
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    measured: Annotated[float | None, BeforeValidator(_known)]

    @property
    def is_met(self) -> bool | None:
        """None: it was not measured."""
        if self.measured is None:
            return None
        return (self.at_most is None or self.measured <= self.at_most) and (
            self.at_least is None or self.measured >= self.at_least
        )


class Findings(_Stored):
    """What a benchmark returns."""

    tables: tuple[Table, ...]
    aims: tuple[Aim, ...]


class Machine(_Stored):
    cpu: str
    cores: int
    memory_gib: float
    system: str
    load_average: float  # of the minute before the run: what else was going on


class Record(_Stored):
    """Findings with what produced them."""

    name: str
    title: str
    date: str
    is_quick: bool
    machine: Machine
    versions: Mapping[str, str]
    cpu_s: float  # of everything that was started
    wall_s: float
    findings: Findings


def interleaved(
    items: Iterable[ItemT], rounds: int, measure: Callable[[ItemT], ValueT]
) -> list[tuple[ItemT, list[ValueT]]]:
    """Measure A, B, C, A, B, C …: on a machine with other work, only neighbours in time can be compared."""
    measured: list[tuple[ItemT, list[ValueT]]] = [(item, []) for item in items]
    for _ in range(rounds):
        for item, values in measured:
            values.append(measure(item))
    return measured


def median_of(values: Sequence[ValueT], field: Callable[[ValueT], float]) -> float:
    return median(map(field, values))


def median_difference(values: Sequence[ValueT], base: Sequence[ValueT], field: Callable[[ValueT], float]) -> float:
    """The median over the rounds of how much more it was than the base in the same round."""
    return median(field(value) - field(other) for value, other in zip(values, base, strict=True))


def median_ratio(values: Sequence[ValueT], base: Sequence[ValueT], field: Callable[[ValueT], float]) -> float:
    """The median over the rounds of how many times the base of the same round it was."""
    return median(field(value) / field(other) for value, other in zip(values, base, strict=True))
