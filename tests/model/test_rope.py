"""LongChat's condensed positions as a setting of the model."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fastchat.core.errors import SetupError
from fastchat.engines.hf.context import context_limit
from fastchat.model.rope import condense

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 32, "num_attention_heads": 2}


@pytest.mark.parametrize("style", ["rope_parameters", "before transformers 5", "LongChat"])
def test_positions_are_condensed(tmp_path: Path, style: str) -> None:
    """The same logits as when positions are divided before they go in."""
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    torch.manual_seed(0)
    original = AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=64, **SIZES))
    original.save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    if style != "rope_parameters":
        _old_style(file, {"rope_condense_ratio": 8} if style == "LongChat" else {})
    condense(tmp_path / "model", None if style == "LongChat" else 8)

    config = AutoConfig.from_pretrained(tmp_path / "model")
    assert config.rope_parameters["rope_type"] == "linear"
    assert config.rope_parameters["rope_theta"] == 10_000
    assert context_limit(config.to_dict(), {}).most == 16384
    tokens = torch.randint(64, (1, 40), generator=torch.Generator().manual_seed(1))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    with torch.inference_mode():
        expected = original(tokens, position_ids=torch.arange(40)[None] / 8).logits
        torch.testing.assert_close(loaded(tokens).logits, expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(original(tokens).logits, expected, atol=1e-3)


def test_doing_it_twice_changes_nothing(tmp_path: Path) -> None:
    folder = _folder(tmp_path, {"max_position_embeddings": 4096})
    once = condense(folder, 4)
    assert context_limit(once, {}).most == 16384
    assert condense(folder, 4) == once


@pytest.mark.parametrize(
    ("config", "factor", "word"),
    [
        ({"max_position_embeddings": 4096}, None, "--factor"),
        ({"max_position_embeddings": 4096}, 0.5, "larger than 1"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, 8, "scales positions already"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, config: dict[str, Any], factor: float | None, word: str
) -> None:
    with pytest.raises(SetupError, match=word):
        condense(_folder(tmp_path, config), factor)


def _folder(tmp_path: Path, config: dict[str, Any]) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def _old_style(file: Path, more: dict[str, Any]) -> None:
    config = json.loads(file.read_text())
    del config["rope_parameters"]
    file.write_text(json.dumps(config | more))
