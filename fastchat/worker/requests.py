"""OpenAI's requests → what an engine is asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import (
    ChatPrompt,
    GenerationRequest,
    GrammarConstraint,
    JsonConstraint,
    Message,
    Sampling,
    TextPrompt,
)
from fastchat.protocol.openai import (
    AllowedToolsChoice,
    ChatMessage,
    ChatRequest,
    CompletionRequest,
    NamedToolChoice,
    SamplingFields,
)
from fastchat.worker.models import HostedModel, SamplingDefaults

COMPLETION_MAX_TOKENS = 16  # OpenAI's default for text completions; chat has none


def chat_generation(request: ChatRequest, messages: Sequence[Message], model: HostedModel) -> GenerationRequest:
    """`messages` are those of the request, made plain by `chat_messages`."""
    tools, choice = _offered_tools(request)
    if tools and choice != "none":
        model.require("tools", "tools")
    prompt = ChatPrompt(
        messages=messages,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=request.parallel_tool_calls is not False,
        template_kwargs=request.chat_template_kwargs or {},
    )
    max_tokens = request.max_completion_tokens or request.max_tokens or model.defaults.get("max_tokens")
    top_logprobs = (request.top_logprobs or 0) if request.logprobs else None
    return _generation(request, model, prompt, max_tokens, top_logprobs)


def _offered_tools(request: ChatRequest) -> tuple[list[Mapping[str, Any]], str]:
    """The tools the model may call, and `ChatPrompt.tool_choice`."""
    choice = request.tool_choice or "auto"
    tools = request.tools or []
    if isinstance(choice, AllowedToolsChoice):
        tools = [tool for tool in tools if tool.function.name in choice.names]
    offered: list[Mapping[str, Any]] = [tool.model_dump(exclude_unset=True) for tool in tools]
    if isinstance(choice, AllowedToolsChoice):
        return offered, choice.allowed_tools.mode
    return offered, choice.function.name if isinstance(choice, NamedToolChoice) else choice


def completion_generation(
    request: CompletionRequest, model: HostedModel, text: str | Sequence[int]
) -> GenerationRequest:
    if request.suffix:
        model.require("infill", "suffix")
    prompt = TextPrompt(text, suffix=request.suffix or None)
    max_tokens = COMPLETION_MAX_TOKENS if request.max_tokens is None else request.max_tokens
    return _generation(request, model, prompt, max_tokens, request.logprobs)


def chat_messages(messages: Sequence[ChatMessage]) -> list[Message]:
    """As the client sent them, with two clean-ups that templates need: text parts joined, `developer` called system."""
    cleaned: list[Message] = []
    for message in messages:
        fields = message.model_dump(exclude_unset=True)
        if message.role == "developer":
            fields["role"] = "system"
        if isinstance(message.content, list) and all(part.type in ("text", "input_text") for part in message.content):
            fields["content"] = "".join(part.text or "" for part in message.content)
        cleaned.append(fields)
    return cleaned


def _generation(
    request: SamplingFields,
    model: HostedModel,
    prompt: ChatPrompt | TextPrompt,
    max_tokens: float | None,
    top_logprobs: int | None,
) -> GenerationRequest:
    if top_logprobs is not None:
        model.require("logprobs", "logprobs")
    return GenerationRequest(
        prompt=prompt,
        sampling=_sampling(request, max_tokens, model.defaults),
        constraint=_constraint(request, model),
        top_logprobs=top_logprobs,
        adapter=model.adapter,
        extra=request.model_extra or {},
    )


def _sampling(request: SamplingFields, max_tokens: float | None, defaults: SamplingDefaults) -> Sampling:
    def chosen(*names: str) -> Mapping[str, Any]:
        """What the request says, else what the model's defaults say; what neither says is left to `Sampling`."""
        values = {name: getattr(request, name) for name in names}
        values = {name: defaults.get(name) if value is None else value for name, value in values.items()}
        return {name: value for name, value in values.items() if value is not None}

    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    top_k = request.top_k if request.top_k is not None else defaults.get("top_k")
    return Sampling(
        max_tokens=None if max_tokens is None else int(max_tokens),
        top_k=int(top_k) if top_k and top_k > 0 else None,
        stop=tuple(text for text in stop if text),
        stop_token_ids=tuple(request.stop_token_ids or ()),
        logit_bias=_logit_bias(request.logit_bias),
        ignore_eos=bool(request.ignore_eos),
        **chosen("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty"),
        **chosen("repetition_penalty", "seed"),
    )


def _logit_bias(bias: Mapping[str, float] | None) -> dict[int, float]:
    try:
        return {int(token): value for token, value in (bias or {}).items()}
    except ValueError:
        raise InvalidRequest("logit_bias maps token ids to numbers; a key is not an id.", param="logit_bias") from None


def _constraint(request: SamplingFields, model: HostedModel) -> JsonConstraint | GrammarConstraint | None:
    if request.grammar:
        model.require("json_schema", "grammar")
        return GrammarConstraint(request.grammar)
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    model.require("json_schema", "response_format")
    if wanted.type == "json_object" or wanted.json_schema is None:
        return JsonConstraint()
    return JsonConstraint(wanted.json_schema.json_schema)
