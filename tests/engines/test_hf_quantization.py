"""Weights in 8 and 4 bits: how close they stay to the original, what they take, and how they are loaded."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, GPT2Config, GPT2LMHeadModel

from fastchat.core.errors import SetupError
from fastchat.engines.hf.loading import load_model
from fastchat.engines.hf.quantized import Int4Linear, Int8Embedding, Int8Linear, _unpacked, to_int4, to_int8
from fastchat.engines.hf.settings import HfArgs
from fastchat.engines.registry import EngineOptions, Quantization
from tests.engines import tiny_models

TOKENS = torch.arange(5, 45)[None]
WIDTHS = {"hidden_size": 128, "intermediate_size": 256}


def loaded(folder: Path, quantization: Quantization | None, dtype: str = "bfloat16") -> torch.nn.Module:
    options = EngineOptions(str(folder), device="cpu", dtype=dtype, quantization=quantization)  # type: ignore[arg-type]
    model: torch.nn.Module = load_model(options, HfArgs(threads=1)).model
    return model


def parameter_bytes(model: torch.nn.Module) -> int:
    return sum(parameter.nbytes for parameter in model.parameters())


def difference(values: torch.Tensor, exact: torch.Tensor) -> float:
    return float((values.float() - exact.float()).norm() / exact.float().norm())


def logits(model: torch.nn.Module, **inputs: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(**(inputs or {"input_ids": TOKENS})).logits
    return found


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("rows", [1, 3, 40])  # the kernel for few rows, and the unpacking for many
def test_a_layer_of_8_bits_computes_what_the_original_does(rows: int, dtype: str) -> None:
    kind = getattr(torch, dtype)
    weight = torch.randn(1100, 96)  # more rows than are unpacked at a time
    layer = Int8Linear(96, 1100, bias=True, dtype=kind)
    layer.load_state_dict(to_int8(weight, kind) | {"bias": torch.ones(1100)})
    inputs = torch.randn(2, rows, 96).to(kind)

    assert difference(layer(inputs), inputs.float() @ weight.t() + 1) < 0.015


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_layer_of_4_bits_computes_what_the_original_does(dtype: str) -> None:
    kind = getattr(torch, dtype)
    weight = torch.randn(64, 96)
    layer = Int4Linear(96, 64, bias=False, dtype=kind)
    layer.load_state_dict(to_int4(weight, kind))
    inputs = torch.randn(2, 7, 96).to(kind)

    assert difference(layer(inputs), inputs.float() @ weight.t()) < 0.1


def test_both_ways_of_packing_4_bits_stand_for_the_same_numbers() -> None:
    """On a GPU the weights are unpacked by code that the CPU, with its kernel, does not use."""
    weight = torch.randn(64, 96)
    by_kernel = Int4Linear(96, 64, bias=False, dtype=torch.float32)
    by_kernel.load_state_dict(to_int4(weight, torch.float32))
    packed = to_int4(weight, torch.float32, for_cpu=False)

    unpacked = _unpacked(packed["weight"].view(torch.uint8), packed["weight_scale"])

    assert difference(unpacked, weight) < 0.1
    assert difference(by_kernel(torch.eye(96)).t(), unpacked) < 1e-5


def test_a_row_of_zeros_stays_zero() -> None:
    weight = torch.zeros(16, 32)
    for rounded in (to_int8(weight, torch.float32), to_int4(weight, torch.float32)):
        assert torch.isfinite(rounded["weight_scale"]).all()
    layer = Int8Linear(32, 16, bias=False, dtype=torch.float32)
    layer.load_state_dict(to_int8(weight, torch.float32))
    assert layer(torch.randn(1, 32)).abs().max() == 0


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize(("quantization", "share", "error"), [("int8", 0.53, 0.1), ("int4", 0.4, 0.6)])
def test_a_decoder_is_rounded_while_it_is_loaded(
    tmp_path: Path, quantization: Quantization, share: float, error: float, is_tied: bool
) -> None:
    folder = tiny_models.llama(tmp_path / "m", shard_size="100KB", tie_word_embeddings=is_tied, **WIDTHS)
    assert len(list(folder.glob("*.safetensors"))) > 2

    exact, rounded = loaded(folder, None), loaded(folder, quantization)

    assert parameter_bytes(rounded) < share * parameter_bytes(exact)
    assert difference(logits(rounded), logits(exact)) < error
    assert (rounded.lm_head.weight is rounded.model.embed_tokens.weight) == is_tied
    assert isinstance(rounded.model.embed_tokens, Int8Embedding)


@pytest.mark.parametrize("is_tied", [True, False])
def test_an_encoder_decoder_is_rounded_too(tmp_path: Path, is_tied: bool) -> None:
    folder = tiny_models.t5(tmp_path / "m", tie_word_embeddings=is_tied)
    inputs = {"input_ids": TOKENS, "decoder_input_ids": TOKENS}

    exact, rounded = loaded(folder, None, "float32"), loaded(folder, "int8", "float32")

    assert difference(logits(rounded, **inputs), logits(exact, **inputs)) < 0.1
    assert parameter_bytes(rounded) < 0.3 * parameter_bytes(exact)
    assert (rounded.lm_head.weight is rounded.shared.weight) == is_tied
    assert rounded.decoder.embed_tokens.weight_scale is rounded.shared.weight_scale


def test_embeddings_that_are_scaled_when_looked_up_stay_so(tmp_path: Path) -> None:
    folder = tiny_models.bart(tmp_path / "m", scale_embedding=True)
    inputs = {"input_ids": TOKENS, "decoder_input_ids": TOKENS}
    exact, rounded = loaded(folder, None, "float32"), loaded(folder, "int8", "float32")
    assert difference(logits(rounded, **inputs), logits(exact, **inputs)) < 0.1


def test_matrices_that_are_stored_on_their_side_are_turned(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=tiny_models.WORDS, n_embd=64, n_layer=2, n_head=4, n_positions=64)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "m")
    tiny_models.tokenizer().save_pretrained(tmp_path / "m")
    exact, rounded = loaded(tmp_path / "m", None, "float32"), loaded(tmp_path / "m", "int8", "float32")
    assert isinstance(rounded.transformer.h[0].attn.c_attn, Int8Linear)
    assert difference(logits(rounded), logits(exact)) < 0.05


def test_a_rounded_model_generates_what_it_generates_alone_in_a_batch_of_itself(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path / "m", **WIDTHS)
    model = loaded(folder, "int8", "float32")
    alone = model.generate(TOKENS, max_new_tokens=8, do_sample=False)
    both = model.generate(TOKENS.repeat(2, 1), max_new_tokens=8, do_sample=False)
    assert both.tolist() == [alone[0].tolist()] * 2


def test_tensors_of_other_shapes_are_refused_in_8_bits_too(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path / "m")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"intermediate_size": 128', '"intermediate_size": 96'))
    with pytest.raises(SetupError, match=r"other shapes than its config.json says \(model.layers"):
        loaded(folder, "int8")


def test_transformers_own_loading_is_not_changed(tmp_path: Path) -> None:
    folder = tiny_models.llama(tmp_path / "m")
    loaded(folder, "int8")
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert not any(isinstance(module, Int8Linear | Int8Embedding) for module in plain.modules())
    t5 = AutoModelForSeq2SeqLM.from_pretrained(tiny_models.t5(tmp_path / "t5"))
    assert not any(isinstance(module, Int8Linear | Int8Embedding) for module in t5.modules())
