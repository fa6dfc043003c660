"""What a folder of safetensors takes once it is loaded, told by its configuration and the sizes of its files."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fastchat.engines.hf.context import context_limit
from fastchat.engines.hf.settings import DEFAULT_CACHE_TOKENS, DEFAULT_SLOTS, read_json
from fastchat.launcher.config import LocalModel

_NUMBER_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_ROUNDED_BYTES = {"int8": 1.03, "int4": 0.7}  # of each number, scales included


class Sizes(NamedTuple):
    weights: int
    cache: int


def sizes_of_folder(folder: Path, files: Iterable[Path], model: LocalModel) -> Sizes:
    """
    Raises:
        SetupError: the configuration cannot be read.
    """
    config = read_json(folder / "config.json")
    text = {**config, **config.get("text_config", {})}
    stored_as = str(text.get("dtype") or text.get("torch_dtype") or "bfloat16")
    size = _NUMBER_BYTES.get(model.dtype or stored_as, 2)
    weights: float = sum(file.stat().st_size for file in files)
    if "quantization_config" not in config:
        numbers = weights / _NUMBER_BYTES.get(stored_as, 2)
        weights = numbers * (_ROUNDED_BYTES[model.quantization] if model.quantization else size)
    context_length = model.context_length or context_limit(config, {}).usual
    most = model.engine_args.get("cache_tokens") or max(DEFAULT_CACHE_TOKENS, context_length)
    tokens = min(context_length * (model.slots or DEFAULT_SLOTS), most)
    return Sizes(round(weights), tokens * _numbers_per_token(text) * size)


def _numbers_per_token(config: Mapping[str, Any]) -> int:
    """That the cache holds; 0 where the configuration has them under names of its own."""
    heads = config.get("num_attention_heads", 0)
    if not heads:
        return 0
    head_size = config.get("head_dim") or config.get("hidden_size", 0) // heads
    return int(config.get("num_hidden_layers", 0) * 2 * (config.get("num_key_value_heads") or heads) * head_size)
