"""Our requests → the orders that the process with the pipeline obeys."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines import tools
from fastchat.engines.base import ChatPrompt, GenerationRequest, Sampling, TextPrompt
from fastchat.engines.openvino.forms import form_of, offers_tools
from fastchat.engines.openvino.model import Model


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the pipeline gets it."""

    order: Mapping[str, Any]
    reads_calls: bool  # function calls come as text and have to be read out of it


def build(request: GenerationRequest, model: Model) -> Call:
    """
    Raises:
        InvalidRequest: the model or this engine cannot do what is asked.
    """
    _refuse_unknown(request)
    prompt = request.prompt
    chat = prompt if isinstance(prompt, ChatPrompt) else None
    text = _text(prompt, model) if isinstance(prompt, TextPrompt) else render(prompt, model)
    order = {
        "prompt": text.encode("utf-8", "replace").decode() if isinstance(text, str) else text,
        "add_special": chat is None,  # a template writes the special tokens itself
        "limit": request.sampling.max_tokens,
        "config": _config(request.sampling),
        "form": form_of(request, chat),
    }
    return Call(order, reads_calls=chat is not None and offers_tools(chat))


def render(prompt: ChatPrompt, model: Model) -> str:
    """
    Raises:
        InvalidRequest: the model has no chat template, or it refuses the conversation.
    """
    if model.template is None:
        raise InvalidRequest(
            "This model has no chat template, so it can only continue text. Its worker can be given one with "
            "--conv-template.",
            param="messages",
        )
    messages = tools.as_text(prompt.messages)
    if offers_tools(prompt):
        role = "system" if model.template.knows_system() else "user"
        messages = tools.describe(messages, prompt.tools, role=role)
    return model.template.render(messages, prompt.template_kwargs)


def _text(prompt: TextPrompt, model: Model) -> str | list[int]:
    if prompt.suffix is not None:
        raise InvalidRequest("The engine 'openvino' cannot fill gaps, so it takes no suffix.", param="suffix")
    if isinstance(prompt.text, str):
        return prompt.text
    model.check_tokens(prompt.text, param="prompt")
    return list(prompt.text)


def _refuse_unknown(request: GenerationRequest) -> None:
    if request.adapter is not None:
        raise InvalidRequest(f"There is no adapter {request.adapter!r}: this engine has none.", param="model")
    if request.top_logprobs is not None:
        # The library tells the probability of the token it took, and never those of others.
        raise InvalidRequest("The engine 'openvino' gives no logprobs.", param="logprobs")
    if request.sampling.logit_bias:
        raise InvalidRequest("The engine 'openvino' takes no logit_bias.", param="logit_bias")


def _config(sampling: Sampling) -> dict[str, Any]:
    """In the words of the library's GenerationConfig."""
    config: dict[str, Any] = {
        "ignore_eos": sampling.ignore_eos,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "do_sample": sampling.temperature > 0,
    }
    if sampling.temperature > 0:
        config |= {
            "temperature": sampling.temperature,
            "top_p": max(sampling.top_p, 1e-6),  # 0 would be refused, though it means something
            "min_p": min(sampling.min_p, 1 - 1e-6),
            # Without a seed of its own every request would draw the same.
            "rng_seed": secrets.randbits(32) if sampling.seed is None else sampling.seed % 2**32,
        }
        if sampling.top_k is not None and sampling.top_k > 0:
            config["top_k"] = sampling.top_k
    return config
