"""How many tokens a model takes, as its configuration tells. Pure arithmetic over config.json and its like."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_Config = Mapping[str, Any]  # JSON

# In this order, as FastChat read them; what the models' authors call one and the same thing.
_NAMES = (
    "max_position_embeddings",
    "max_sequence_length",
    "seq_length",
    "max_seq_len",
    "n_positions",
    "n_ctx",
    "model_max_length",
)
# Their positions are relative and have no end; `n_positions` only says how long the inputs were in training.
_ENDLESS = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers"})
# Their tables of positions begin with the padding.
_OFFSET_BY_PADDING = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet"})
_UNKNOWN = 2048  # FastChat's assumption where a configuration says nothing, and for T5
_NOT_SAID = 10**6  # tokenizers without a limit give a huge one


class ContextLimit(NamedTuple):
    usual: int  # what the model gets unless the user says otherwise
    most: int | None  # None: any length


def context_limit(config: _Config, tokenizer_config: _Config, *, is_encoder: bool = False) -> ContextLimit:
    text = _text_part(config)
    if config.get("model_type") in _ENDLESS:
        return ContextLimit(_UNKNOWN, None)
    positions = next((text[name] for name in _NAMES if isinstance(text.get(name), int)), None)
    if positions is None:
        return ContextLimit(_UNKNOWN, None)
    if config.get("model_type") in _OFFSET_BY_PADDING:
        positions -= text.get("pad_token_id", 1) + 1
    length = max(positions, *(_stretched(rope, positions) for rope in _ropes(text)), 1)
    told = tokenizer_config.get("model_max_length")
    if is_encoder and isinstance(told, int) and 0 < told < _NOT_SAID:
        length = min(length, told)
    return ContextLimit(length, length)


def _text_part(config: _Config) -> _Config:
    return next((config[name] for name in ("text_config", "llm_config", "decoder") if name in config), config)


def _ropes(config: _Config) -> Iterable[_Config]:
    """The settings of rotary positions: one, or one for each kind of layer."""
    found = config.get("rope_parameters") or config.get("rope_scaling") or {}
    parts = [part for part in found.values() if isinstance(part, Mapping)]
    return [part for part in parts or [found] if part]


def _stretched(rope: _Config, positions: int) -> int:
    """
    {"type": "linear", "factor": 4.0}: positions are condensed, so there is room for four times as many.
    {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}: the configuration's number of
    positions holds the factor already, or (yarn) the original one is given beside it.
    """
    kind, factor = rope.get("rope_type", rope.get("type")), rope.get("factor") or 1
    if original := rope.get("original_max_position_embeddings"):
        return int(original * factor)
    return int(positions * factor) if kind in ("linear", "dynamic", "yarn") else positions
