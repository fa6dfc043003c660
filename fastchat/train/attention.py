"""Attention that keeps the documents of a packed row apart, without a mask over all their tokens.

Registered with transformers under a name; `cu_seq_lens_q` of a batch tells where documents end, and where a batch has
none, position ids that begin again do. Each document goes through SDPA by itself; on a GPU in half precision all go
through torch's varlen kernel (FlashAttention-2) at once. What is no packed row is transformers' own SDPA.
"""

from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import find_packed_sequence_indices, sdpa_mask
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from fastchat.core.errors import SetupError

NAME = "fastchat_documents"

_OTHERS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention")
_LAYERS = {"full_attention", "sliding_attention"}
_LARGEST_HEAD = 256  # of the varlen kernel
_TOLERANCE = 1e-3  # of logits; documents that see each other differ by more


def install() -> str:
    """Make the implementation known to transformers; its name is for `attn_implementation=`."""
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, _mask)
    return NAME


def choose_attention(config: Any, wanted: str | None = None) -> str:
    """What to load a model with, so that documents in a row stay apart: `wanted`, else FlashAttention where it is
    installed and there is a GPU, else ours, else what transformers has for layers that ours does not do.

    Raises:
        SetupError: there is no attention `wanted`.
    """
    if wanted is not None:
        if wanted not in (NAME, *_OTHERS):
            raise SetupError(f"There is no attention {wanted!r}. There are: {', '.join((NAME, *_OTHERS))}.")
        return install() if wanted == NAME else wanted
    model = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if model is not None and not model._supports_sdpa:  # its scores are capped, have sinks or biases
        return "eager"
    if model is None or not model._supports_attention_backend or not set(_layer_types(config)) <= _LAYERS:
        return "sdpa"
    if find_spec("flash_attn") is not None and torch.cuda.is_available() and model._supports_flash_attn:
        return "flash_attention_2"
    return install()


def can_pack(config: Any) -> bool:
    """Whether all that mixes tokens is attention: a state carried from token to token knows no documents."""
    attends = all(layer.endswith("_attention") and layer != "linear_attention" for layer in _layer_types(config))
    return attends and not config.is_encoder_decoder


@torch.no_grad()  # type: ignore[untyped-decorator]
def keeps_apart(model: Any) -> bool:
    """Whether a document says the same behind another one as alone: tried, with a few tokens of the vocabulary."""
    device = next(model.parameters()).device
    size = model.get_input_embeddings().num_embeddings
    first, second = (torch.arange(start, start + 7, device=device)[None] % size for start in (3, 11))
    was_training = model.training
    model.eval()
    try:
        alone = model(input_ids=second, position_ids=_count(second), use_cache=False).logits
        both = torch.cat([first, second], dim=1)
        positions = torch.cat([_count(first), _count(second)], dim=1)
        ends = torch.tensor([0, 7, 14], dtype=torch.int32, device=device)
        lengths = {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": 7, "max_length_k": 7}
        packed = model(input_ids=both, position_ids=positions, use_cache=False, **lengths).logits[:, 7:]
    finally:
        model.train(was_training)
    scale = max(1.0, float(alone.abs().max()))
    precision = max(_TOLERANCE, 8 * torch.finfo(alone.dtype).eps)
    return bool((alone - packed).abs().max() <= precision * scale)


def _layer_types(config: Any) -> tuple[str, ...]:
    return tuple(getattr(config, "layer_types", None) or ())


def _count(ids: Tensor) -> Tensor:
    return torch.arange(ids.shape[1], device=ids.device)[None]


def _mask(*args: Any, **kwargs: Any) -> Tensor | None:
    """None for whole sequences without padding, which `_attention` does without; else transformers' mask for SDPA."""
    is_whole = kwargs.get("attention_mask") is None and kwargs["q_length"] == kwargs["kv_length"]
    return None if is_whole else sdpa_mask(*args, **kwargs)


def _attention(
    module: Any,
    query: Tensor,  # (sequences, heads, tokens, head size)
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    position_ids: Tensor | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    for unknown in ("softcap", "s_aux", "position_bias"):
        if others.get(unknown) is not None:
            raise SetupError(f"The attention {NAME} does no {unknown}, which this model needs. Take 'eager'.")
    is_causal = others.pop("is_causal", None)
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is not None or query.shape[2] != key.shape[2] or not is_causal:
        given = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, **others}
        output: Tensor = sdpa_attention_forward(module, query, key, value, attention_mask, **given)[0]
        return output, None
    ends = cu_seq_lens_q if cu_seq_lens_q is not None else _ends(position_ids, query)
    query, key, value = (_as_computed(part) for part in (query, key, value))
    if query.is_cuda and query.dtype != torch.float32 and dropout == 0 and query.shape[-1] <= _LARGEST_HEAD:
        longest = max_length_q or int(ends.diff().max())
        return _all_at_once(query, key, value, ends, longest, scaling, sliding_window), None
    bounds = ends.tolist()
    parts = [
        _document(
            query[:, :, start:end], key[:, :, start:end], value[:, :, start:end], dropout, scaling, sliding_window
        )
        for start, end in pairwise(bounds)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _as_computed(part: Tensor) -> Tensor:
    """In the precision of autocast, which knows SDPA but not the varlen kernel: with weights in float32, rotary
    positions leave queries and keys in that."""
    kind = part.device.type
    return part.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else part


def _ends(position_ids: Tensor | None, query: Tensor) -> Tensor:
    """Where documents begin, and the end, from position ids that begin again; sequences in a batch are whole."""
    tokens = query.shape[2]
    whole = torch.tensor([0, tokens], dtype=torch.int32, device=query.device)
    if (
        position_ids is None
        or position_ids.ndim != 2
        or (document := find_packed_sequence_indices(position_ids)) is None
    ):
        return whole
    if query.shape[0] > 1:
        raise SetupError("Packed documents stand in one row; this batch has several. Use the collator PackedBatch.")
    begins = torch.nonzero(document[0].diff()).flatten() + 1
    return torch.cat([whole[:1], begins.to(torch.int32), whole[1:]])


def _document(
    query: Tensor, key: Tensor, value: Tensor, dropout: float, scale: float | None, window: int | None
) -> Tensor:
    mask, tokens = None, query.shape[2]
    if window is not None and tokens > window:
        distance = torch.arange(tokens, device=query.device)[:, None] - torch.arange(tokens, device=query.device)
        mask = (distance >= 0) & (distance < window)
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=mask is None,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _all_at_once(
    query: Tensor, key: Tensor, value: Tensor, ends: Tensor, longest: int, scale: float | None, window: int | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    sequences, _, tokens, _ = query.shape
    if sequences > 1:  # whole sequences beside one another
        ends = torch.arange(0, (sequences + 1) * tokens, tokens, dtype=torch.int32, device=query.device)
    rows = [part.transpose(1, 2).flatten(0, 1) for part in (query, key, value)]  # (tokens, heads, head size)
    output: Tensor = varlen_attn(
        *rows,
        ends,
        ends,
        longest,
        longest,
        scale=scale,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return output.unflatten(0, (sequences, tokens))
