"""OpenAI's request in the words of Anthropic's Messages API."""

from typing import Any

from fastchat.client.providers.base import refuse, stop_strings
from fastchat.client.providers.conversation import Conversation, Media, Part, Text, Thought, ToolResult, Tools, ToolUse
from fastchat.core.errors import InvalidRequest
from fastchat.protocol.openai import ChatRequest

NAME = "Anthropic"
DEFAULT_MAX_TOKENS = 8192  # the API wants a limit; every model that is still served takes this one
_UNKNOWN = (
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "logit_bias", "logprobs"),
    *("top_logprobs", "grammar", "stop_token_ids", "ignore_eos"),
)
# Fields of Anthropic's own that clients send along; they are passed on as they are.
_PASSED_ON = ("thinking", "cache_control", "service_tier", "container", "context_management", "speed", "inference_geo")


def to_messages(request: ChatRequest) -> dict[str, Any]:
    """The body of the request in Anthropic's words."""
    refuse(request, NAME, *_UNKNOWN)
    conversation = Conversation.read(request.messages)
    body: dict[str, Any] = {
        "max_tokens": request.max_completion_tokens or request.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": [
            {"role": turn.role, "content": [_block(part) for part in turn.parts]} for turn in conversation.turns
        ],
    }
    if conversation.system:
        body["system"] = conversation.system
    body |= _sampling(request) | _tools(request) | _output(request)
    extra = request.model_extra or {}
    return body | {name: extra[name] for name in _PASSED_ON if extra.get(name) is not None}


def _sampling(request: ChatRequest) -> dict[str, Any]:
    """Values that change nothing are left out: newer models refuse to be given both temperature and top_p."""
    fields: dict[str, Any] = {}
    if request.temperature is not None and request.temperature != 1:
        fields["temperature"] = min(request.temperature, 1.0)
    if request.top_p is not None and request.top_p != 1:
        fields["top_p"] = request.top_p
    if request.top_k is not None and request.top_k > 0:
        fields["top_k"] = request.top_k
    if stop := stop_strings(request):
        fields["stop_sequences"] = stop
    if request.user:
        fields["metadata"] = {"user_id": request.user}
    return fields


def _tools(request: ChatRequest) -> dict[str, Any]:
    tools = Tools.read(request)
    if not tools.functions:
        return {}
    described = []
    for function in tools.functions:
        tool: dict[str, Any] = {"name": function.name, "input_schema": function.parameters or {"type": "object"}}
        if function.description:
            tool["description"] = function.description
        if function.strict is not None:
            tool["strict"] = function.strict
        described.append(tool)
    choice: dict[str, Any] = {"type": {"required": "any"}.get(tools.mode, tools.mode)}
    if tools.only:
        choice = {"type": "tool", "name": tools.only}
    if request.parallel_tool_calls is False and tools.mode != "none":
        choice["disable_parallel_tool_use"] = True
    return {"tools": described, "tool_choice": choice}


def _output(request: ChatRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    config: dict[str, Any] = {}
    wanted = request.response_format
    if wanted and wanted.type == "json_object":
        raise InvalidRequest(f"{NAME} has no 'json_object'. Send 'json_schema' with a schema.", param="response_format")
    if wanted and wanted.json_schema:
        config["format"] = {"type": "json_schema", "schema": wanted.json_schema.json_schema}
    effort = (request.model_extra or {}).get("reasoning_effort")
    if effort == "none":
        fields["thinking"] = {"type": "disabled"}
    elif effort:
        config["effort"] = {"minimal": "low"}.get(effort, effort)
        fields["thinking"] = {"type": "adaptive"}
    return fields | ({"output_config": config} if config else {})


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Media():
            kind = "image" if part.media_type.startswith("image/") else "document"
            inline = {"type": "base64", "media_type": part.media_type, "data": part.base64}
            return {"type": kind, "source": {"type": "url", "url": part.url} if part.url else inline}
        case ToolUse(id, name, arguments):
            return {"type": "tool_use", "id": id, "name": name, "input": arguments}
        case ToolResult(id):
            content = [_block(inner) for inner in part.parts]
            return {"type": "tool_result", "tool_use_id": id, "content": content}
        case Thought(block):
            return dict(block)
