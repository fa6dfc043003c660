"""OpenAI's request in the words of Gemini's API."""

import json
import mimetypes
from typing import Any

from google.genai import types

from fastchat.client.providers.base import refuse, stop_strings
from fastchat.client.providers.conversation import Conversation, Media, Text, Thought, ToolResult, Tools, ToolUse
from fastchat.protocol.openai import ChatRequest

NAME = "Gemini"
_UNKNOWN = ("repetition_penalty", "min_p", "logit_bias", "grammar", "stop_token_ids", "ignore_eos")
_EFFORT = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH", "max": "XHIGH"}
_MODE = {"none": "NONE", "auto": "AUTO", "required": "ANY"}


def to_contents(request: ChatRequest) -> tuple[list[types.Content], types.GenerateContentConfig]:
    refuse(request, NAME, *_UNKNOWN)
    conversation = Conversation.read(request.messages)
    roles = {"user": "user", "assistant": "model"}
    contents = [
        types.Content(
            role=roles[turn.role],
            # Thoughts are signed by the provider of the model that had them, and say nothing to another.
            parts=[_part(part) for part in turn.parts if not isinstance(part, Thought)],
        )
        for turn in conversation.turns
    ]
    config = types.GenerateContentConfig(
        system_instruction=conversation.system or None,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k if request.top_k and request.top_k > 0 else None,
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
        stop_sequences=stop_strings(request) or None,
        seed=request.seed,
        presence_penalty=request.presence_penalty or None,
        frequency_penalty=request.frequency_penalty or None,
        response_logprobs=request.logprobs or None,
        logprobs=(request.top_logprobs or None) if request.logprobs else None,
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        **_tools(request),
        **_output(request),
    )
    return contents, config


def _tools(request: ChatRequest) -> dict[str, Any]:
    tools = Tools.read(request)
    if not tools.functions:
        return {}
    declared = [
        types.FunctionDeclaration(
            name=function.name, description=function.description, parameters_json_schema=function.parameters
        )
        for function in tools.functions
    ]
    calling = types.FunctionCallingConfig(
        mode=types.FunctionCallingConfigMode(_MODE[tools.mode]),
        allowed_function_names=[tools.only] if tools.only else None,
    )
    return {
        "tools": [types.Tool(function_declarations=declared)],
        "tool_config": types.ToolConfig(function_calling_config=calling),
    }


def _output(request: ChatRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    wanted = request.response_format
    if wanted and wanted.type != "text":
        fields["response_mime_type"] = "application/json"
        if wanted.json_schema:
            fields["response_json_schema"] = wanted.json_schema.json_schema
    extra = request.model_extra or {}
    effort = extra.get("reasoning_effort")
    if effort == "none":
        fields["thinking_config"] = types.ThinkingConfig(thinking_budget=0)
    elif effort in _EFFORT:
        level = types.ThinkingLevel(_EFFORT[effort])
        fields["thinking_config"] = types.ThinkingConfig(include_thoughts=True, thinking_level=level)
    if extra.get("safety_settings"):
        fields["safety_settings"] = extra["safety_settings"]
    return fields


def _part(part: Text | Media | ToolUse | ToolResult) -> types.Part:
    match part:
        case Text(text):
            return types.Part(text=text)
        case Media():
            if part.url:
                kind = mimetypes.guess_type(part.url.partition("?")[0])[0] or part.media_type
                return types.Part.from_uri(file_uri=part.url, mime_type=kind)
            return types.Part.from_bytes(data=part.data, mime_type=part.media_type)
        case ToolUse(id, name, arguments, extra):
            signature = extra.get("extra_content", {}).get("google", {}).get("thought_signature")
            call = types.FunctionCall(id=id, name=name, args=arguments)
            # The SDK reads it from base64 when it is given text.
            return types.Part.model_validate({"function_call": call, "thought_signature": signature})
        case ToolResult():
            answer = types.FunctionResponse(id=part.id, name=part.name, response=_as_object(part.text))
            return types.Part(function_response=answer)


def _as_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    return value if isinstance(value, dict) else {"result": value}
