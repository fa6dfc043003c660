"""What will be started, and whether it fits. `survey` asks files and engines; everything else here is arithmetic."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastchat.client.providers.registry import check_installed
from fastchat.core.errors import SetupError
from fastchat.engines.automatic import choose_engine
from fastchat.engines.launched.program import find_program
from fastchat.engines.launched.table import ServerKind, load_kinds
from fastchat.engines.registry import check_options, engine_names
from fastchat.launcher.config import AnyModel, LocalModel, RegisteredModel
from fastchat.launcher.memory import GB, Estimate, available_bytes, estimate, gpu_count, private_bytes
from fastchat.launcher.model_options import engine_options
from fastchat.launcher.problems import ConfigProblems, Place, Problem, nowhere
from fastchat.model import builtin, sources

NOTHING = Estimate(overhead=0)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to be shared out."""

    memory_bytes: int
    gpus: int | None = None  # None: cannot be told


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """One entry of the configuration with what it takes. A hosted model takes nothing."""

    entry: AnyModel
    engine: str = "hosted"
    estimate: Estimate = NOTHING
    replicas: int = 0

    @property
    def label(self) -> str:
        return self.entry.served_names[0]

    @property
    def memory_bytes(self) -> int:
        return self.estimate.total * self.replicas

    def __str__(self) -> str:
        names = ", ".join(self.entry.served_names)
        if not isinstance(self.entry, LocalModel):
            return f"{names}: {self.entry.model} at {self.entry.base_url}"
        processes = "1 worker" if self.replicas == 1 else f"{self.replicas} workers"
        size = f"{_gb(self.memory_bytes)} GB" if self.estimate.is_complete else "of unknown size"
        gpus = f" on GPU {', '.join(map(str, self.entry.gpus))}" if self.entry.gpus else ""
        return f"{names}: {self.entry.model} with {self.engine}, {processes}{gpus}, {size}"


def this_machine(our_pids: Iterable[int] = ()) -> Machine:
    """What there is for models; what those of the given processes hold counts as theirs to keep."""
    return Machine(available_bytes() + sum(map(private_bytes, our_pids)), gpu_count())


def fetch(entry: AnyModel) -> None:
    """Get what has to come over the network before the entry can be surveyed: the built-in model, and those of the hub.

    Raises:
        SetupError: it does not come.
    """
    if not isinstance(entry, LocalModel):
        return
    if entry.model in builtin.ALIASES:
        builtin.ensure()
    elif entry.engine not in load_kinds() and sources.is_fetched_later(entry.model, entry.revision):
        sources.resolve(entry.model, entry.revision)


def survey(entry: AnyModel) -> PlannedModel:
    """
    Raises:
        SetupError: no engine installed here runs it, it refuses the settings, or the file is not there or not readable.
    """
    if not isinstance(entry, LocalModel):
        if isinstance(entry, RegisteredModel):
            check_installed(entry.entry.kind.speaks)
        return PlannedModel(entry)
    if entry.engine in (kinds := load_kinds()):
        return _survey_launched(entry, kinds[entry.engine])
    is_known = entry.model in builtin.ALIASES or not sources.is_fetched_later(entry.model, entry.revision)
    found = builtin.path() if entry.model in builtin.ALIASES else sources.locate(entry.model, entry.revision)
    path = str(found or entry.model)
    engine = _engine_of(entry, path, is_known=is_known)
    if engine not in engine_names():
        allowed = [*engine_names(), *(name for name, kind in kinds.items() if kind.package)]
        raise SetupError(f"There is no engine {engine!r}. Allowed: auto, {', '.join(allowed)}.")
    if is_known:
        check_options(engine, engine_options(entry, path, engine))
    return PlannedModel(entry, engine, estimate(entry, engine, Path(path)), entry.replicas)


def _engine_of(entry: LocalModel, path: str, *, is_known: bool) -> str:
    if entry.engine != "auto":
        return entry.engine
    # Of a model that is not here yet only the name can be asked: with a file it is GGUF.
    return choose_engine(path).engine if is_known else "llamacpp" if ":" in entry.model else "hf"


def _survey_launched(entry: LocalModel, kind: ServerKind) -> PlannedModel:
    """A server of another project gets the weights itself, and has its own word on its settings."""
    path = str(builtin.safetensors_path()) if entry.model in builtin.ALIASES else entry.model
    find_program(entry.engine, kind, path, python=None, environ=os.environ)
    return PlannedModel(entry, entry.engine, estimate(entry, entry.engine, Path(path)), entry.replicas)


def make_plan(
    entries: Sequence[AnyModel], machine: Machine, locate: Callable[[Place], str] = nowhere
) -> list[PlannedModel]:
    """What each entry takes; together they fit.

    Raises:
        SetupError: some cannot run here at all, or not all together; `locate` says where each was asked for.
    """
    planned, problems = [], []
    for index, entry in enumerate(entries):
        try:
            planned.append(survey(entry))
        except SetupError as error:
            problems.append(Problem(error.message, _place(entry, index)))
    if problems := problems or misfits(planned, machine):
        raise ConfigProblems(problems, locate)
    return planned


def _place(entry: AnyModel, index: int) -> Place:
    return ("endpoints", entry.name) if isinstance(entry, RegisteredModel) else ("models", index)


def summary(models: Sequence[PlannedModel], machine: Machine) -> list[str]:
    """The plan in words, one line a model, and what it comes to."""
    total = sum(planned.memory_bytes for planned in models)
    return [*map(str, models), f"together {_gb(total)} GB of memory; available {_gb(machine.memory_bytes)} GB"]


def misfits(models: Sequence[PlannedModel], machine: Machine) -> list[Problem]:
    """Why these models cannot run together on this machine; empty if they can."""
    return [*_shared_names(models), *_too_much_memory(models, machine), *_crowded_gpus(models, machine)]


def _shared_names(models: Sequence[PlannedModel]) -> Iterator[Problem]:
    """Two entries may answer to one name only if it does not matter which of them is asked."""
    owners: dict[str, PlannedModel] = {}
    for index, planned in enumerate(models):
        adapters = planned.entry.adapters if isinstance(planned.entry, LocalModel) else ()
        for name in (*planned.entry.served_names, *adapters):
            owner = owners.setdefault(name, planned)
            if owner.entry.model != planned.entry.model:
                yield Problem(
                    f"the name {name!r} is taken by {owner.entry.model}; only replicas of one model share a name",
                    _place(planned.entry, index),
                )


def _too_much_memory(models: Sequence[PlannedModel], machine: Machine) -> Iterator[Problem]:
    total = sum(planned.memory_bytes for planned in models)
    if total > machine.memory_bytes:
        largest = max(range(len(models)), key=lambda index: models[index].memory_bytes)
        yield Problem(
            f"needs {_gb(total)} GB: {_sum(models)}; available {_gb(machine.memory_bytes)} GB. "
            "Leave a model out, or give fewer slots or a shorter context_length.",
            ("models", largest),
        )


def _sum(models: Iterable[PlannedModel]) -> str:
    parts = []
    for planned in models:
        if planned.replicas:
            times = f"{planned.replicas} × " if planned.replicas > 1 else ""
            parts.append(f"{planned.label} {times}{_gb(planned.estimate.total)}")
    return " + ".join(parts)


def _crowded_gpus(models: Sequence[PlannedModel], machine: Machine) -> Iterator[Problem]:
    shares: dict[int, list[tuple[str, float]]] = {}
    last: dict[int, int] = {}  # GPU → index of the last model that takes of it
    for index, planned in enumerate(models):
        if isinstance(planned.entry, LocalModel):
            share = planned.entry.gpu_memory_fraction or 1.0
            for gpu in planned.entry.gpus:
                shares.setdefault(gpu, []).append((planned.label, share * planned.replicas))
                last[gpu] = index
    for gpu, taken in sorted(shares.items()):
        if machine.gpus is not None and gpu >= machine.gpus:
            yield Problem(f"there is no GPU {gpu} here; allowed: {_numbers(machine.gpus)}", ("models", last[gpu]))
        if sum(share for _, share in taken) > 1 + 1e-9:
            parts = " + ".join(f"{label} {share:.2f}" for label, share in taken)
            yield Problem(
                f"GPU {gpu} is given away more than once: {parts}; available 1.00. "
                "A model without gpu_memory_fraction takes a GPU alone.",
                ("models", last[gpu]),
            )


def _numbers(count: int) -> str:
    return ", ".join(map(str, range(count))) or "none"


def _gb(size: int) -> str:
    return f"{size / GB:.1f}"
