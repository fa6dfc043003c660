"""Longer contexts by condensed positions, as LongChat was trained: position p counts as p / factor.

FastChat replaced a class of transformers in the running process for that; it is a setting of the model, and every
engine reads it from `config.json`. `max_position_embeddings` stays what it was before, since engines multiply it by the
factor (as for lmsys/vicuna-7b-v1.5-16k).
"""

import math
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.model.carried import edit_json, read_config

_LONGCHATS_KEY = "rope_condense_ratio"
_LLAMA_CONTEXT = 2048  # of the first LLaMA, which LongChat began with


def condense(folder: Path, factor: float | None = None, max_length: int | None = None) -> dict[str, Any]:
    """Write the setting into the folder's `config.json` and return what that holds.

    Without a factor it is the one LongChat's configuration names.

    Raises:
        SetupError: there is no configuration, no factor, or positions are scaled already in another way.
    """
    config = read_config(folder)
    if not config:
        raise SetupError(f"'{folder}' has no config.json.")
    ratio = factor or config.get(_LONGCHATS_KEY)
    if not ratio or ratio <= 1:
        raise SetupError(
            f"'{folder}': how much positions are condensed is not in the configuration (as {_LONGCHATS_KEY}); "
            f"give --factor, larger than 1 (given: {factor}). LongChat's is 8."
        )
    before = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = before.get("rope_type", before.get("type", "default"))
    if kind != "default" and (kind, before.get("factor")) != ("linear", ratio):
        raise SetupError(f"'{folder}' scales positions already: {before}. Begin with the original configuration.")
    positions = _positions(config) if kind == "default" else config.get("max_position_embeddings", _LLAMA_CONTEXT)
    if max_length is not None:
        positions = math.ceil(max_length / ratio)

    def change(values: dict[str, Any]) -> None:
        values.update(_scaling(values, ratio), max_position_embeddings=positions)

    edit_json(folder / "config.json", change)
    edit_json(folder / "tokenizer_config.json", lambda values: values.update(model_max_length=round(positions * ratio)))
    return read_config(folder)


def _positions(config: dict[str, Any]) -> int:
    """Before they are condensed; LongChat's configuration names those after it."""
    return _LLAMA_CONTEXT if _LONGCHATS_KEY in config else int(config.get("max_position_embeddings", _LLAMA_CONTEXT))


def _scaling(config: dict[str, Any], ratio: float) -> dict[str, Any]:
    """In the words the configuration is in: transformers 5 has one key for all of it, and reads the older ones too."""
    if "rope_parameters" in config:
        return {"rope_parameters": {**config["rope_parameters"], "rope_type": "linear", "factor": float(ratio)}}
    return {"rope_scaling": {"rope_type": "linear", "type": "linear", "factor": float(ratio)}}
