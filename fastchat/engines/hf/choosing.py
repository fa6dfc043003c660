"""Which backend runs a model. Whether blocks suit it is tried out, for no configuration tells it reliably."""

import logging
from typing import Any, NamedTuple

import psutil
import torch

from fastchat.core.errors import SetupError
from fastchat.engines.hf import attention
from fastchat.engines.hf.attention import KeyValueBlocks, NotPageable
from fastchat.engines.hf.backend import Backend
from fastchat.engines.hf.dense import DenseBackend
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.mixed import MixedBackend
from fastchat.engines.hf.paged import PagedBackend
from fastchat.engines.hf.settings import DEFAULT_CACHE_TOKENS, HfArgs
from fastchat.engines.hf.speculation import DraftModel, check_draft

log = logging.getLogger(__name__)

_BLOCK = 16  # tokens
# On a CPU the prompts of some are computed at the cost of others; a GPU needs long rows to be busy.
_CPU_PROMPT_ROWS, _GPU_PROMPT_ROWS = 128, 2048
_SHARE_OF_FREE = {"cpu": 0.5, "gpu": 0.8}
# Of these the table of positions depends on the longest sequence in sight, which would be a stranger's.
_LENGTH_DEPENDENT = ("dynamic", "longrope")
_KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})


def draft_model(draft: LoadedModel, loaded: LoadedModel, args: HfArgs) -> DraftModel:
    """
    Raises:
        SetupError: the two do not go together.
    """
    if loaded.kind != "decoder":
        raise SetupError("--draft-model is for models that only decode; this one has an encoder.")
    check_draft(draft, loaded)
    backend, context_length = choose_backend(draft, args, 1, may_shorten=True)
    if not isinstance(backend, PagedBackend):
        raise SetupError(
            "The draft model keeps its past in a way that guesses cannot be taken back from. Give another."
        )
    return DraftModel(backend, ahead=args.draft_tokens, context_length=context_length)


class Choice(NamedTuple):
    backend: Backend
    context_length: int  # shorter than the model's where memory is short


def choose_backend(
    loaded: LoadedModel, args: HfArgs, slots: int, *, may_shorten: bool, draft: DraftModel | None = None
) -> Choice:
    """`may_shorten`: nobody has asked for this very context.

    Raises:
        SetupError: there is no memory for even one request.
    """
    if loaded.kind == "encoder-decoder":
        from fastchat.engines.hf.seq2seq import Seq2SeqBackend

        return Choice(Seq2SeqBackend(loaded), loaded.context_length)
    if draft is not None and args.batching == "dense":
        raise SetupError("--draft-model does not go together with engine_args batching 'dense'.")
    if args.batching == "dense" or loaded.kind == "encoder":  # which never gets to a sequence
        return Choice(DenseBackend(loaded), loaded.context_length)
    own_attention = loaded.model.config._attn_implementation
    try:
        bytes_per_block = _try_blocks(loaded)
    except NotPageable as reason:
        if args.batching == "paged":
            raise SetupError(f"engine_args of the engine 'hf': batching: this model cannot: {reason}.") from None
        if draft is not None:
            raise SetupError(f"--draft-model: this model cannot be helped by another: {reason}.") from None
        log.warning("requests are computed one by one, not together, because of this model: %s", reason)
        loaded.model.set_attn_implementation(own_attention)
        return Choice(DenseBackend(loaded), loaded.context_length)
    blocks = _count_blocks(loaded, args, slots, bytes_per_block, may_shorten=may_shorten)
    is_on_cpu = loaded.device.type == "cpu"
    prompt_rows = args.prompt_tokens_per_step or (_CPU_PROMPT_ROWS if is_on_cpu else _GPU_PROMPT_ROWS)
    paged = PagedBackend(loaded, KeyValueBlocks(blocks + 1, _BLOCK), prompt_rows=prompt_rows, draft=draft)
    backend = paged if loaded.processor is None else MixedBackend(reading=paged, seeing=DenseBackend(loaded))
    return Choice(backend, min(loaded.context_length, blocks * _BLOCK))


def _count_blocks(loaded: LoadedModel, args: HfArgs, slots: int, bytes_per_block: int, *, may_shorten: bool) -> int:
    is_on_cpu = loaded.device.type == "cpu"
    needed = -(-loaded.context_length // _BLOCK)
    wanted = needed * slots
    if args.cache_tokens is not None or is_on_cpu:
        wanted = min(wanted, (args.cache_tokens or max(DEFAULT_CACHE_TOKENS, loaded.context_length)) // _BLOCK + 1)
    free = _free_memory(loaded.device)
    affordable = wanted if free is None else int(free / bytes_per_block)
    blocks = min(wanted, affordable)
    log.info("cache: %d tokens, %.2f GiB", blocks * _BLOCK, blocks * bytes_per_block / 2**30)
    if blocks < needed and (not may_shorten or blocks == 0):
        raise SetupError(
            f"A context of {loaded.context_length} tokens takes {needed * bytes_per_block / 2**30:.1f} GiB of cache, "
            f"and there is room for {blocks * _BLOCK} tokens. Give a smaller --context-length."
        )
    if blocks < needed:
        log.warning("the context is shortened from %d to %d tokens", loaded.context_length, blocks * _BLOCK)
    return blocks


def _free_memory(device: torch.device) -> float | None:
    """Bytes that the cache may take; None where nobody tells."""
    if device.type == "cpu":
        return psutil.virtual_memory().available * _SHARE_OF_FREE["cpu"]
    ask = getattr(getattr(torch, device.type, None), "mem_get_info", None)
    return None if ask is None else float(ask(device)[0]) * _SHARE_OF_FREE["gpu"]


def _try_blocks(loaded: LoadedModel) -> int:
    """Compute something both ways. Returns the bytes a block takes.

    Raises:
        NotPageable: it does not come to the same.
    """
    _check_configuration(loaded.model)
    tokens = [number * 7919 % loaded.model.config.get_text_config(decoder=True).vocab_size for number in range(40)]
    texts = [tokens[:20], tokens[20:27]]
    expected = [_plain_logits(loaded, text) for text in [*texts, [*texts[0], tokens[30]]]]
    memory = KeyValueBlocks(8, _BLOCK)
    try:
        attention.install(loaded.model)
        backend = PagedBackend(loaded, memory, prompt_rows=_BLOCK)  # so the first is read in two parts
        for key, text in enumerate(texts):
            backend.add(key, text)
        found = dict(_rows(backend) + _rows(backend))
        backend.append(0, tokens[30])
        found[2] = dict(_rows(backend))[0]
    except NotPageable:
        raise
    except Exception as error:  # a model's own code may stumble over anything
        raise NotPageable(f"{type(error).__name__}: {str(error)[:200]}") from error
    tolerance = 1e-3 if loaded.model.dtype == torch.float32 else 0.06
    for number, logits in enumerate(expected):
        if (found[number] - logits).abs().max() > tolerance * logits.abs().max():
            raise NotPageable("with the cache in blocks it computes something else")
    _check_windows(loaded.model, memory)
    return memory.bytes_per_block


def _plain_logits(loaded: LoadedModel, tokens: list[int]) -> Any:
    with torch.inference_mode():
        output = loaded.model(torch.tensor([tokens], device=loaded.device), use_cache=False)
    return output.logits[0, -1].float()


def _rows(backend: Backend) -> list[tuple[int, Any]]:
    keys, logits = backend.step()
    return list(zip(keys, logits, strict=True))


def _check_configuration(model: Any) -> None:
    config = model.config.get_text_config(decoder=True)
    if not getattr(model, "_supports_attention_backend", False):
        raise NotPageable("its attention cannot be exchanged")
    if others := set(getattr(config, "layer_types", None) or ()) - _KNOWN_LAYERS:
        raise NotPageable(f"it has layers of the kind {', '.join(sorted(others))}")
    rope = getattr(config, "rope_parameters", None) or {}
    for part in (rope, *(value for value in rope.values() if isinstance(value, dict))):
        if (kind := part.get("rope_type")) in _LENGTH_DEPENDENT:
            raise NotPageable(f"its positions are scaled by the length of the text ({kind})")


def _check_windows(model: Any, memory: KeyValueBlocks) -> None:
    """A window is too long for the trial to show; each layer has to have told of its own."""
    kinds = getattr(model.config.get_text_config(decoder=True), "layer_types", None) or ()
    for layer, kind in enumerate(kinds):
        if (kind == "sliding_attention") != (memory.windows.get(layer) is not None):
            raise NotPageable("its layers do not tell of their sliding windows")
