"""Whose turn it is: so many calls at a time for each endpoint, and so many for all of them together.

A server that is slow or busy holds up its own models only; the others go on.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeAlias, TypeVar

Job = TypeVar("Job")
Jobs: TypeAlias = Mapping[str, Iterable[Job]]  # by the model that is asked


def _nobody(_: str) -> bool:
    return False


def _of_its_own(model: str) -> Sequence[str]:
    return (model,)


@dataclass(frozen=True, slots=True)
class Parallel:
    """How many calls are made at a time: `each` to an address, `total` to all of them (None: no ceiling).

    `addresses` says where a model answers at this moment. What `is_gathered` is sent together in batches, so any
    number of jobs of such a model may wait at the same time.
    """

    each: int
    total: int | None = None
    addresses: Callable[[str], Sequence[str]] = _of_its_own
    is_gathered: Callable[[str], bool] = _nobody


class Turn(NamedTuple, Generic[Job]):
    """A job that may begin, and the address whose place it takes until it is given back."""

    job: Job
    address: str | None


class Waiting(Generic[Job]):
    """The jobs of each model in their order; models take turns."""

    def __init__(self, jobs: Jobs[Job], parallel: Parallel) -> None:
        self._jobs: dict[str, Iterator[Job]] = {model: iter(own) for model, own in jobs.items()}
        self._parallel = parallel
        self._taken: Counter[str] = Counter()

    def take(self) -> Turn[Job] | None:
        """The next one for whose model there is a place; None: there is no place, or no job."""
        for model in list(self._jobs):
            is_gathered = self._parallel.is_gathered(model)
            address = None if is_gathered else self._place(model)
            if address is None and not is_gathered:
                continue
            jobs = self._jobs.pop(model)
            for job in jobs:
                self._jobs[model] = jobs  # at the end of the line of models
                if address is not None:
                    self._taken[address] += 1
                return Turn(job, address)
        return None

    def give_back(self, turn: Turn[Job]) -> None:
        if turn.address is not None:
            self._taken[turn.address] -= 1

    def _place(self, model: str) -> str | None:
        """The address of the model that has the fewest of our calls, if it may have one more."""
        if self._parallel.total is not None and self._taken.total() >= self._parallel.total:
            return None
        address = min(self._parallel.addresses(model) or (model,), key=self._taken.__getitem__)
        return address if self._taken[address] < self._parallel.each else None
