"""Documents that share a row do not see each other."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from fastchat.core.errors import SetupError
from fastchat.train.attention import (
    NAME,
    _all_at_once,
    _attention,
    can_pack,
    choose_attention,
    install,
    keeps_apart,
)
from fastchat.train.batches import PackedBatch, PaddedBatch
from fastchat.train.encoding import Sample
from tests.train.small import llama

_LENGTHS = (7, 41, 1, 20)
_NOISE = 1e-5


@pytest.fixture
def documents() -> list[Sample]:
    draw = np.random.default_rng(0)
    return [Sample(draw.integers(3, 600, size).astype(np.uint16), draw.random(size) < 0.7) for size in _LENGTHS]


def _model(attention: str) -> Any:
    install()
    return llama(attention=attention)


def _learn(model: Any, batches: list[dict[str, Any]]) -> tuple[torch.Tensor, float, list[torch.Tensor]]:
    """Logits, the mean loss over all trained tokens, and gradients."""
    items = sum(int((batch["labels"] >= 0).sum()) for batch in batches)
    outputs = [model(**batch, use_cache=False, num_items_in_batch=items) for batch in batches]
    loss = sum(output.loss for output in outputs)
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    return torch.cat([output.logits for output in outputs], 1), float(loss.detach()), gradients


@pytest.mark.parametrize("attention", [NAME, "sdpa", "eager"])
@pytest.mark.parametrize("checkpoints", [False, True], ids=["", "checkpointing"])
def test_packed_is_the_same_as_separate(attention: str, checkpoints: bool, documents: list[Sample]) -> None:
    packed, separate = _model(attention), _model("sdpa")
    if checkpoints:
        packed.train()
        packed.activation_checkpointing_enable()

    logits, loss, gradients = _learn(packed, [PackedBatch()([documents])])
    alone = _learn(separate, [PaddedBatch(0)([document]) for document in documents])

    assert (logits - alone[0]).abs().max() < _NOISE
    assert loss == pytest.approx(alone[1], abs=_NOISE)
    for mine, theirs in zip(gradients, alone[2], strict=True):
        assert (mine - theirs).abs().max() < _NOISE


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_mask_of_ones_would_be_seen(attention: str, documents: list[Sample]) -> None:
    """With it, transformers takes the row for one document: the mistake that this whole file is about."""
    model, batch = _model(attention), PackedBatch()([documents])
    right = model(**batch, use_cache=False).logits

    wrong = model(**batch, use_cache=False, attention_mask=torch.ones_like(batch["input_ids"])).logits

    assert (wrong - right).abs().max() > 100 * _NOISE


def test_ours_keeps_apart_whatever_else_a_batch_has(documents: list[Sample]) -> None:
    model, batch = _model(NAME), PackedBatch()([documents])
    right = model(**batch, use_cache=False).logits
    only = {"input_ids": batch["input_ids"], "position_ids": batch["position_ids"]}

    for given in (only, {**batch, "attention_mask": torch.ones_like(batch["input_ids"])}):
        assert (model(**given).logits - right).abs().max() < _NOISE


def test_sliding_windows_end_with_the_document(documents: list[Sample]) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    install()
    batch, logits = PackedBatch()([documents]), []
    for attention in (NAME, "eager"):
        torch.manual_seed(0)
        config = MistralConfig(
            vocab_size=600, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, sliding_window=5, attn_implementation=attention,
        )  # fmt: skip
        logits.append(MistralForCausalLM(config).eval()(**batch, use_cache=False).logits)

    assert (logits[0] - logits[1]).abs().max() < _NOISE


def test_padded_batches_and_generation_are_as_with_sdpa(documents: list[Sample]) -> None:
    batch = PaddedBatch(0)(documents)
    real = batch["attention_mask"].bool()
    ours, theirs = _model(NAME), _model("sdpa")

    assert (ours(**batch).logits - theirs(**batch).logits)[real].abs().max() < _NOISE
    begun = batch["input_ids"][1:2, :9]
    texts = [model.generate(begun, max_new_tokens=5, do_sample=False).tolist() for model in (ours, theirs)]
    assert texts[0] == texts[1]


def test_whether_documents_stay_apart_is_tried_out() -> None:
    assert keeps_apart(_model(NAME))
    leaking = _model("sdpa")
    plain = leaking.forward

    def leak(**given: Any) -> Any:
        return plain(**given, attention_mask=torch.ones_like(given["input_ids"]))

    leaking.forward = leak
    assert not keeps_apart(leaking)


def test_which_attention_a_model_gets() -> None:
    from transformers import BloomConfig, FalconConfig, Gemma2Config, LlamaConfig, T5Config

    assert choose_attention(LlamaConfig()) == NAME
    assert choose_attention(Gemma2Config()) == "eager"  # its scores are capped
    assert choose_attention(BloomConfig()) == "eager"  # its scores have biases
    assert choose_attention(FalconConfig()) == "sdpa"  # it knows only transformers' own
    assert choose_attention(LlamaConfig(layer_types=["chunked_attention"] * 32)) == "sdpa"
    assert choose_attention(LlamaConfig(), "eager") == "eager"
    with pytest.raises(SetupError, match=r"no attention 'xformers'\. There are: fastchat_documents"):
        choose_attention(LlamaConfig(), "xformers")
    assert can_pack(LlamaConfig())
    assert not can_pack(T5Config())
    assert not can_pack(LlamaConfig(layer_types=["linear_attention"] * 32))


def test_a_packed_row_needs_no_mask_over_all_its_tokens(
    documents: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a mask of tokens by tokens")

    monkeypatch.setattr("fastchat.train.attention.sdpa_mask", made)

    _model(NAME)(**PackedBatch()([documents]), use_cache=False)


@pytest.mark.parametrize("window", [None, 5])
def test_the_varlen_kernel_is_given_what_it_takes(window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs on GPUs only; a plain computation stands in for it, so that shapes, bounds and windows are compared."""
    from torch.nn.attention import varlen

    def stand_in(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, ends: torch.Tensor, *rest: Any, **more: Any
    ) -> torch.Tensor:
        assert rest[1:] == (41, 41)
        assert more["enable_gqa"]
        left, right = more["window_size"]
        parts = []
        for start, end in pairwise(ends.tolist()):
            keys = key[start:end].repeat_interleave(2, 1)
            scores = torch.einsum("qhd,khd->hqk", query[start:end], keys) * more["scale"]
            ahead = torch.arange(end - start) - torch.arange(end - start)[:, None]
            hidden = (ahead > right) | ((ahead < -left) if left >= 0 else False)
            weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
            parts.append(torch.einsum("hqk,khd->qhd", weights, value[start:end].repeat_interleave(2, 1)))
        return torch.cat(parts)

    monkeypatch.setattr(varlen, "varlen_attn", stand_in)
    ends = torch.tensor([0, *np.cumsum(_LENGTHS)], dtype=torch.int32)
    query, key, value = (torch.randn(1, heads, int(ends[-1]), 8) for heads in (4, 2, 2))

    kernel = _all_at_once(query, key, value, ends, 41, 0.3, window)

    module = torch.nn.Module()
    given = {"scaling": 0.3, "sliding_window": window, "cu_seq_lens_q": ends}
    assert (kernel - _attention(module, query, key, value, None, **given)[0]).abs().max() < _NOISE


def test_under_autocast_all_three_come_in_its_precision(
    documents: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the varlen kernel needs them: a model in float32 hands over queries and keys in float32 and values in half."""
    from fastchat.train import attention

    seen: set[torch.dtype] = set()

    def look(*parts: Any, **named: Any) -> Any:
        seen.update(part.dtype for part in parts if isinstance(part, torch.Tensor))
        return real(*parts, **named)

    real = attention._document
    monkeypatch.setattr(attention, "_document", look)
    model = _model(NAME)
    with torch.autocast("cpu", torch.bfloat16):
        model(**PackedBatch()([documents]), use_cache=False)
    assert seen == {torch.bfloat16}
