"""What an entry says of loading its model, twice: as the worker's flags, and as the options an engine checks."""

import json
from collections.abc import Container

from fastchat.engines.formats import choose_format
from fastchat.engines.registry import EngineOptions
from fastchat.launcher.config import LocalModel

_ALL = (
    *("device", "num_gpus", "max_gpu_memory", "dtype", "load_8bit", "load_4bit", "cpu_offloading", "revision"),
    *("trust_remote_code", "draft_model", "conv_template", "default_sampling"),
)
# What a launched server of another project understands as well.
OF_SERVERS = frozenset({"dtype", "revision", "trust_remote_code", "draft_model", "conv_template"})


def loading_flags(entry: LocalModel, known: Container[str] = _ALL) -> list[str]:
    """Of what is set, as flags for a process that knows those of the names."""
    arguments: list[str] = []
    for field in _ALL:
        value = getattr(entry, field)
        if field not in known or value == LocalModel.model_fields[field].get_default(call_default_factory=True):
            continue
        arguments.append(f"--{field.replace('_', '-')}")
        if not isinstance(value, bool):
            arguments.append(json.dumps(value) if isinstance(value, dict) else str(value))
    return arguments


def engine_options(entry: LocalModel, path: str, engine: str) -> EngineOptions:
    """`path` is where the weights are.

    Raises:
        SetupError: there is no such prompt format.
    """
    template = entry.conv_template and choose_format(entry.conv_template, path, entry.model).template_for(engine)
    return EngineOptions(
        path,
        context_length=entry.context_length,
        slots=entry.slots,
        device=entry.device,
        num_gpus=entry.num_gpus or 1,
        max_gpu_memory=entry.max_gpu_memory,
        dtype=entry.dtype,
        quantization=entry.quantization,
        cpu_offloading=entry.cpu_offloading,
        trust_remote_code=entry.trust_remote_code,
        draft_model=entry.draft_model,
        chat_template=template or None,
        adapters=entry.adapters,
        engine_args=entry.worker_engine_args,
    )
