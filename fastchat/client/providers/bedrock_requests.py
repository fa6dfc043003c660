"""OpenAI's request in the words of Bedrock's Converse API."""

import json
from typing import Any

from fastchat.client.providers.base import refuse, stop_strings
from fastchat.client.providers.conversation import Conversation, Media, Part, Text, Thought, ToolResult, Tools, ToolUse
from fastchat.core.errors import InvalidRequest
from fastchat.protocol.openai import ChatRequest

NAME = "Bedrock"
_UNKNOWN = (
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "logit_bias", "logprobs"),
    *("top_logprobs", "grammar", "stop_token_ids", "ignore_eos"),
)


def to_converse(request: ChatRequest) -> dict[str, Any]:
    """The arguments of `converse_stream`."""
    refuse(request, NAME, *_UNKNOWN)
    conversation = Conversation.read(request.messages)
    turns = [{"role": turn.role, "content": [_block(part) for part in turn.parts]} for turn in conversation.turns]
    body: dict[str, Any] = {"modelId": request.model, "messages": turns}
    if conversation.system:
        body["system"] = [{"text": conversation.system}]
    given = {
        "maxTokens": request.max_completion_tokens or request.max_tokens,
        "temperature": None if request.temperature is None else min(request.temperature, 1.0),
        "topP": None if request.top_p == 1 else request.top_p,  # newer models refuse to be given both
        "stopSequences": stop_strings(request) or None,
    }
    if inference := {name: value for name, value in given.items() if value is not None}:
        body["inferenceConfig"] = inference
    extra = dict((request.model_extra or {}).get("additionalModelRequestFields") or {})
    if request.top_k is not None and request.top_k > 0:
        extra.setdefault("top_k", request.top_k)
    if extra:
        body["additionalModelRequestFields"] = extra
    return body | _tools(request) | _output(request)


def _tools(request: ChatRequest) -> dict[str, Any]:
    tools = Tools.read(request)
    if not tools.functions or tools.mode == "none":  # there is no word for "none"
        return {}
    described = []
    for function in tools.functions:
        tool: dict[str, Any] = {
            "name": function.name,
            "inputSchema": {"json": function.parameters or {"type": "object", "properties": {}}},
        }
        described.append({"toolSpec": tool | ({"description": function.description} if function.description else {})})
    choice: dict[str, Any] = {"any" if tools.mode == "required" else "auto": {}}
    return {"toolConfig": {"tools": described, "toolChoice": {"tool": {"name": tools.only}} if tools.only else choice}}


def _output(request: ChatRequest) -> dict[str, Any]:
    config: dict[str, Any] = {}
    wanted = request.response_format
    if wanted and wanted.type == "json_object":
        raise InvalidRequest(f"{NAME} has no 'json_object'. Send 'json_schema' with a schema.", param="response_format")
    if wanted and wanted.json_schema:
        schema = {"name": wanted.json_schema.name or "answer", "schema": json.dumps(wanted.json_schema.json_schema)}
        config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    effort = (request.model_extra or {}).get("reasoning_effort")
    if effort and effort != "none":
        config["effort"] = {"minimal": "low"}.get(effort, effort)
    return {"outputConfig": config} if config else {}


def _block(part: Part) -> dict[str, Any]:
    match part:
        case Text(text):
            return {"text": text}
        case Media():
            if part.url:
                raise InvalidRequest(f"{NAME} fetches no pictures. Send it as a data: URL in base64.", param="messages")
            kind, _, form = part.media_type.partition("/")
            if kind == "image":
                return {"image": {"format": form, "source": {"bytes": part.data}}}
            return {"document": {"format": form, "name": "document", "source": {"bytes": part.data}}}
        case ToolUse(id, name, arguments):
            return {"toolUse": {"toolUseId": id, "name": name, "input": arguments}}
        case ToolResult(id):
            return {
                "toolResult": {"toolUseId": id, "content": [_block(inner) for inner in part.parts] or [{"text": ""}]}
            }
        case Thought(block):
            signed = {"text": block.get("thinking", ""), "signature": block.get("signature", "")}
            return {"reasoningContent": {"reasoningText": signed}}
