"""How the next token is drawn, in the words of llama.cpp's server."""

from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import GenerationRequest
from fastchat.engines.llamacpp.model import Model

# Temperature before the cuts, as vLLM and transformers do it; llama.cpp's own order is the other way round.
_ORDER = ["penalties", "temperature", "top_k", "top_p", "min_p"]


def sampling_fields(request: GenerationRequest, model: Model) -> dict[str, Any]:
    sampling = request.sampling
    model.check_tokens(sampling.logit_bias, param="logit_bias")
    fields: dict[str, Any] = {
        "stream": True,
        # A report after every batch of the prompt: writing it is how the server notices that we have left.
        "return_progress": True,
        "timings_per_token": True,  # they hold the usage, which has to be known wherever we end an answer ourselves
        "cache_prompt": _may_use_cache(request),
        "n_predict": -1 if sampling.max_tokens is None else sampling.max_tokens,
        "samplers": _ORDER,
        "temperature": sampling.temperature,
        "top_k": max(0, sampling.top_k or 0),
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_last_n": model.context_length,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "logit_bias": [[token, bias] for token, bias in sampling.logit_bias.items()],
        "ignore_eos": sampling.ignore_eos,
    }
    if sampling.seed is not None:
        fields["seed"] = sampling.seed % 2**31  # the server reads 32 bits, and the largest number means random
    return fields | _adapter_fields(request, model)


def wants_probabilities(request: GenerationRequest) -> bool:
    """They also bring the ids of the tokens, which is how stop tokens are seen.

    In chat the server says nothing of a token without text, so a special token stops an answer there only if it is one
    of those that end any answer.
    """
    return request.top_logprobs is not None or bool(request.sampling.stop_token_ids)


def probability_fields(request: GenerationRequest, *, chat: bool) -> dict[str, Any]:
    if not wants_probabilities(request):
        return {}
    number = max(1, request.top_logprobs or 0)
    return {"logprobs": True, "top_logprobs": number} if chat else {"n_probs": number}


def _may_use_cache(request: GenerationRequest) -> bool:
    """Not where the same answer is wanted every time.

    A prompt read in one go and one continued from the cache give probabilities that differ in their last bits, which is
    enough to make a greedy answer differ. `cache_prompt` in the request overrules this.
    """
    wish = request.extra.get("cache_prompt")
    if isinstance(wish, bool):
        return wish
    return request.sampling.temperature > 0 and request.sampling.seed is None


def _adapter_fields(request: GenerationRequest, model: Model) -> dict[str, Any]:
    if request.adapter is not None and request.adapter not in model.adapters:
        known = ", ".join(model.adapters) or "none"
        raise InvalidRequest(f"There is no adapter {request.adapter!r}. Adapters here: {known}.", param="model")
    scales = enumerate(float(name == request.adapter) for name in model.adapters)
    return {"lora": [{"id": number, "scale": scale} for number, scale in scales]}
