"""Names of engines → what loads them. Ours are entry points of the group `fastchat.engines`, like any stranger's."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal, TypeAlias, cast

from fastchat.core.errors import SetupError
from fastchat.engines.base import Engine

GROUP = "fastchat.engines"

Device: TypeAlias = Literal["cpu", "cuda", "mps", "xpu", "npu"]
DataType: TypeAlias = Literal["float32", "float16", "bfloat16"]
Quantization: TypeAlias = Literal["int8", "int4"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What to load, and how. An engine ignores nothing silently: what it cannot do is a SetupError."""

    model_path: str
    context_length: int | None = None  # tokens per request; None: as the model allows
    slots: int | None = None  # requests decoded at the same time; None: the engine's choice
    device: Device | None = None  # None: the best there is
    num_gpus: int = 1  # that the weights are spread over
    max_gpu_memory: str | None = None  # for weights, of each GPU, as "8GiB"
    dtype: DataType | None = None  # None: the engine's choice for the model and the device
    quantization: Quantization | None = None  # done while loading; weights quantised before say so themselves
    cpu_offloading: bool = False  # weights that do not fit on the GPU stay in memory
    trust_remote_code: bool = False  # run Python that lies beside the weights
    draft_model: str | None = None  # path of a small model that proposes tokens (speculative decoding)
    chat_template: str | None = None  # Jinja text that replaces the model's own
    adapters: Mapping[str, str] = field(default_factory=dict)  # adapter name → path
    engine_args: Mapping[str, Any] = field(default_factory=dict)  # the engine's own settings


# Every engine takes these; what it takes beyond them its module says in `SUPPORTS`.
_COMMON_OPTIONS = frozenset({"model_path", "context_length", "slots", "engine_args"})

EngineFactory = Callable[[EngineOptions], Awaitable[Engine]]


def engine_names() -> list[str]:
    return sorted(entry_points(group=GROUP).names)


def check_options(name: str, options: EngineOptions) -> None:
    """What can be said of the options without loading the model.

    An engine's module may have, beside its `load`, a set `SUPPORTS` with the names of the options it can act on, and a
    function `check`, which raises SetupError for what `load` would refuse. It should import nothing heavy and read no
    more than the header of a file.

    Raises:
        SetupError: no engine of this name, or it would refuse the options.
    """
    module = _module(name)
    _refuse_unsupported(name, module, options)
    check = getattr(module, "check", None)
    if check is not None:
        check(options)


async def load_engine(name: str, options: EngineOptions) -> Engine:
    """Import the engine's module and load the model.

    Raises:
        SetupError: no engine of this name, or it cannot load the model as asked.
    """
    entry = _find(name)
    _refuse_unsupported(name, import_module(entry.module), options)
    factory = cast(EngineFactory, entry.load())  # an entry point is untyped
    return await factory(options)


def supported_options(name: str) -> frozenset[str] | None:
    """Names of the options this engine can act on; None where it does not say."""
    supports = getattr(_module(name), "SUPPORTS", None)
    return None if supports is None else _COMMON_OPTIONS | supports


def _refuse_unsupported(name: str, module: ModuleType, options: EngineOptions) -> None:
    supports = getattr(module, "SUPPORTS", None)
    if supports is None:
        return
    for item in fields(options):
        if item.name in _COMMON_OPTIONS or item.name in supports or not _is_set(options, item.name):
            continue
        able = [other for other in engine_names() if item.name in (supported_options(other) or ())]
        raise SetupError(
            f"The engine {name!r} has no {item.name.replace('_', ' ')} (given: {getattr(options, item.name)!r}). "
            f"Engines installed here that have it: {', '.join(able) or 'none'}."
        )


def _is_set(options: EngineOptions, name: str) -> bool:
    return bool(getattr(options, name) != getattr(EngineOptions(options.model_path), name))


def _module(name: str) -> ModuleType:
    return import_module(_find(name).module)


def _find(name: str) -> EntryPoint:
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise SetupError(f"There is no engine {name!r}. Engines installed here: {', '.join(engine_names())}.")
    return next(iter(found))
