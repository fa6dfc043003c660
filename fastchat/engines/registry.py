"""Names of engines → what loads them. Ours are entry points of the group `fastchat.engines`, like any stranger's."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from fastchat.core.errors import SetupError
from fastchat.engines.base import Engine

GROUP = "fastchat.engines"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What to load, and how. An engine ignores nothing silently: what it cannot do is a SetupError."""

    model_path: str
    context_length: int | None = None  # tokens per request; None: as the model allows
    slots: int | None = None  # requests decoded at the same time; None: the engine's choice
    device: str | None = None  # cpu, cuda, mps; None: the best there is
    chat_template: str | None = None  # Jinja text that replaces the model's own
    adapters: Mapping[str, str] = field(default_factory=dict)  # adapter name → path
    engine_args: Mapping[str, Any] = field(default_factory=dict)  # the engine's own settings


EngineFactory = Callable[[EngineOptions], Awaitable[Engine]]


def engine_names() -> list[str]:
    return sorted(entry_points(group=GROUP).names)


def choose_engine(model_path: str) -> str:
    """The engine `auto` stands for."""
    if model_path.split(":")[0] == "scripted":
        return "scripted"
    if model_path.endswith(".gguf"):
        return "llamacpp"
    raise SetupError(
        f"No engine here reads {model_path!r}. Give a .gguf file, 'builtin' for the built-in model, or "
        f"--engine with one of: {', '.join(engine_names())}."
    )


def check_options(name: str, options: EngineOptions) -> None:
    """What can be said of the options without loading the model.

    An engine may have a function `check` beside its `load`, which raises SetupError for what `load` would refuse. It
    should import nothing heavy and read no more than the header of a file.

    Raises:
        SetupError: no engine of this name, or it would refuse the options.
    """
    check = getattr(import_module(_find(name).module), "check", None)
    if check is not None:
        check(options)


async def load_engine(name: str, options: EngineOptions) -> Engine:
    """Import the engine's module and load the model.

    Raises:
        SetupError: no engine of this name, or it cannot load the model as asked.
    """
    factory = cast(EngineFactory, _find(name).load())  # an entry point is untyped
    return await factory(options)


def _find(name: str) -> EntryPoint:
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise SetupError(f"There is no engine {name!r}. Engines installed here: {', '.join(engine_names())}.")
    return next(iter(found))
