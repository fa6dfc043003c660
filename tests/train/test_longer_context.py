"""Rows longer than a model was made for."""

from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.engines.hf.context import context_limit
from fastchat.train.longer_context import stretch
from fastchat.train.plan import Scaling


def config(**fields: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(hidden_size=32, num_attention_heads=2, max_position_embeddings=2048, **fields)


@pytest.mark.parametrize("scaling", ["linear", "dynamic", "yarn"])
def test_there_is_room_for_the_rows_after_saving_and_reading(scaling: Scaling, tmp_path: Path) -> None:
    from transformers import AutoConfig, LlamaModel

    given = config(vocab_size=8, num_hidden_layers=1, intermediate_size=8)
    assert stretch(given, 16_000, scaling) == 8.0
    given.save_pretrained(tmp_path)
    found = AutoConfig.from_pretrained(tmp_path)
    assert found.rope_parameters["rope_theta"] == 10_000.0  # without it the model cannot be built
    assert context_limit(found.to_dict(), {}).most == 16_384
    LlamaModel(found)


def test_what_has_room_is_left_alone() -> None:
    given = config()
    assert stretch(given, 2048, "linear") is None
    assert given.rope_parameters["rope_type"] == "default"


def test_positions_are_not_scaled_twice() -> None:
    given = config()
    stretch(given, 4096, "linear")
    assert stretch(given, 4096, "linear") is None
    with pytest.raises(SetupError, match="takes 4096 tokens and its positions are scaled already"):
        stretch(given, 8192, "linear")


def test_a_table_of_positions_has_no_more_room() -> None:
    from transformers import GPT2Config

    with pytest.raises(SetupError, match="takes 1024 tokens and its positions are not rotary"):
        stretch(GPT2Config(), 2048, "linear")
