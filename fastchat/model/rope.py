"""Longer contexts by condensed positions, as LongChat was trained: position p counts as p / factor.

FastChat replaced a class of transformers in the running process for that; it is a setting of the model, and every
engine reads it from `config.json`.
"""

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
    length = max_length or (_longer(config, ratio) if kind == "default" else config.get("max_position_embeddings"))

    def change(values: dict[str, Any]) -> None:
        values.update(_scaling(values, ratio), max_position_embeddings=length)

    edit_json(folder / "config.json", change)
    edit_json(folder / "tokenizer_config.json", lambda values: values.update(model_max_length=length))
    return read_config(folder)


def _longer(config: dict[str, Any], ratio: float) -> int:
    before = _LLAMA_CONTEXT if _LONGCHATS_KEY in config else config.get("max_position_embeddings", _LLAMA_CONTEXT)
    return round(before * ratio)


def _scaling(config: dict[str, Any], ratio: float) -> dict[str, Any]:
    """In the words the configuration is in: transformers 5 has one key for all of it, and reads the older ones too."""
    if "rope_parameters" in config:
        return {"rope_parameters": {**config["rope_parameters"], "rope_type": "linear", "factor": float(ratio)}}
    return {"rope_scaling": {"rope_type": "linear", "type": "linear", "factor": float(ratio)}}
