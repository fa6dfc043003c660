"""Rows longer than a model was made for: its rotary positions are scaled, as the configuration then says.

`max_position_embeddings` stays what it was: engines multiply it by the factor (as for lmsys/vicuna-7b-v1.5-16k).
"""

import math
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.train.plan import Scaling


def stretch(config: Any, max_length: int, scaling: Scaling) -> float | None:
    """Make room for `max_length` positions and return the factor; None where there is room already.

    `config` is one of transformers.

    Raises:
        SetupError: the model's positions cannot be scaled, or are already, and that is not enough.
    """
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:  # positions are relative, as T5's
        return None
    rope: dict[str, Any] | None = getattr(config, "rope_parameters", None)
    kind = rope.get("rope_type", "default") if rope else "default"
    room = positions * (rope["factor"] if rope and kind in ("linear", "dynamic", "yarn") else 1)
    if max_length <= room:
        return None
    if rope is None or kind != "default":
        why = "its positions are not rotary" if rope is None else f"its positions are scaled already ({rope})"
        raise SetupError(
            f"The model takes {round(room)} tokens and {why}. Set the length to {round(room)}, or begin with another "
            "model."
        )
    factor = float(math.ceil(max_length / positions))
    # The base frequency is kept: a configuration without it is not readable.
    values = {**rope, "rope_type": scaling, "factor": factor}
    if scaling == "yarn":
        values["original_max_position_embeddings"] = positions
    config.rope_parameters = values
    return factor
