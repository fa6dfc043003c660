"""Adapters merged on disk against PEFT, which merges them in the loaded model."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from fastchat.core.errors import SetupError
from fastchat.model import manifest
from fastchat.model.lora import apply_lora
from fastchat.model.writing import WriteOptions
from tests.model.checkpoints import load

SMALL = WriteOptions(max_shard_bytes=20_000)
LINEAR = ["q_proj", "v_proj", "up_proj"]

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*tie_word_embeddings.*:UserWarning"),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": LINEAR, "lora_alpha": 12},
        {"target_modules": LINEAR, "lora_alpha": 12, "use_rslora": True},
        {"target_modules": LINEAR, "use_dora": True},
        {"target_modules": [*LINEAR, "embed_tokens"], "modules_to_save": ["lm_head", "norm"]},
        {"target_modules": LINEAR, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.0.self_attn.q_proj": 30}},
        {"target_modules": LINEAR, "bias": "all"},
    ],
    ids=["plain", "rslora", "dora", "saved_modules", "patterns", "biases"],
)
def test_the_merge_is_pefts(tmp_path: Path, options: dict[str, Any], dtype: torch.dtype) -> None:
    _base(tmp_path / "base", dtype)
    expected = _peft(tmp_path / "base", tmp_path / "adapter", options, dtype)
    apply_lora(tmp_path / "base", tmp_path / "adapter", tmp_path / "out", SMALL)
    found = load(tmp_path / "out")
    assert found.keys() == expected.keys()
    changed = 0
    for name, value in load(tmp_path / "base").items():
        assert found[name].dtype == value.dtype
        tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 2**-7, "atol": 5e-4}
        torch.testing.assert_close(found[name], expected[name], **tolerance)
        changed += not torch.equal(found[name], value)
    assert changed >= 6
    manifest.verify(tmp_path / "out", lambda _: None)
    assert (tmp_path / "out" / "config.json").read_text() == (tmp_path / "base" / "config.json").read_text()


def test_transposed_weights(tmp_path: Path) -> None:
    """GPT-2's, whose checkpoints also leave out the name in front."""
    from transformers import AutoModelForCausalLM, GPT2Config

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=32, n_embd=16, n_layer=1, n_head=2, n_positions=16)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")
    options = {"target_modules": ["c_attn"], "fan_in_fan_out": True}
    expected = _peft(tmp_path / "base", tmp_path / "adapter", options, torch.float32)
    apply_lora(tmp_path / "base", tmp_path / "adapter", tmp_path / "out", SMALL)
    for name, value in load(tmp_path / "out").items():
        torch.testing.assert_close(value, expected[name if name in expected else f"transformer.{name}"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"peft_type": "LOHA"}, "only LORA"),
        ({"init_lora_weights": "pissa_niter_16"}, "path_initial_model"),
    ],
)
def test_other_adapters_are_refused(tmp_path: Path, change: dict[str, str], word: str) -> None:
    _base(tmp_path / "base", torch.float32)
    _peft(tmp_path / "base", tmp_path / "adapter", {"target_modules": LINEAR}, torch.float32)
    file = tmp_path / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(SetupError, match=word):
        apply_lora(tmp_path / "base", tmp_path / "adapter", tmp_path / "out", SMALL)


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    _base(tmp_path / "base", torch.float32)
    _base(tmp_path / "wide", torch.float32, hidden_size=32)
    _base(tmp_path / "short", torch.float32, num_hidden_layers=1)
    _peft(tmp_path / "base", tmp_path / "adapter", {"target_modules": LINEAR}, torch.float32)
    for other, word in (("wide", "another model"), ("short", r"layers\.1")):
        with pytest.raises(SetupError, match=word):
            apply_lora(tmp_path / other, tmp_path / "adapter", tmp_path / "out", SMALL)


def test_what_is_no_adapter_is_refused(tmp_path: Path) -> None:
    _base(tmp_path / "base", torch.float32)
    with pytest.raises(SetupError, match=r"adapter_config\.json"):
        apply_lora(tmp_path / "base", tmp_path / "base" / "..", tmp_path / "out", SMALL)


def _base(folder: Path, dtype: torch.dtype, **sizes: int) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig

    torch.manual_seed(0)
    defaults = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=32, attention_bias=True, **(defaults | sizes))
    AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)


def _peft(base: Path, adapter: Path, options: dict[str, Any], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Make an adapter that changes something, save it, and give PEFT's own merge of what was saved."""
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = LoraConfig(**({"r": 4, "task_type": "CAUSAL_LM"} | options))
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), config)
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        model.save_pretrained(adapter)
        loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), adapter)
        merged: dict[str, torch.Tensor] = loaded.merge_and_unload().state_dict()
    return merged
