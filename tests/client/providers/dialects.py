"""The wire formats of the providers, written after their documentation: the other side of `client/providers`."""

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tests.client.providers.scripts import Refusal, Request, Script

JSON = "application/json"
SSE = "text/event-stream"


class Wire(Protocol):
    entry: Mapping[str, Any]  # of a register file, but for address and name
    reasons: bool  # whether it tells the model's thoughts
    embeds: bool

    def is_stream(self, request: Request) -> bool: ...

    def content_type(self, request: Request) -> str: ...

    def begin(self, script: Script, request: Request) -> Iterator[bytes]:
        """Everything up to the last text."""
        ...

    def end(self, script: Script, request: Request) -> Iterator[bytes]: ...

    def refuse(self, refusal: Refusal) -> bytes: ...

    def key(self, request: Request) -> str:
        """The key it was shown."""
        ...


def event(data: Mapping[str, Any], name: str = "") -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


class OpenAIWire:
    reasons = True
    embeds = True

    def __init__(self, **entry: Any) -> None:
        self.entry = entry

    def is_stream(self, request: Request) -> bool:
        return bool(request.body.get("stream"))

    def content_type(self, request: Request) -> str:
        return SSE if self.is_stream(request) else JSON

    def begin(self, script: Script, request: Request) -> Iterator[bytes]:
        if not self.is_stream(request):
            return
        yield event(self._chunk({"role": "assistant", "content": ""}))
        if script.reasoning:
            yield event(self._chunk({"reasoning_content": script.reasoning}))
        for text in script.texts:
            yield event(self._chunk({"content": text}))

    def end(self, script: Script, request: Request) -> Iterator[bytes]:
        if not self.is_stream(request):
            yield json.dumps(self._whole(script)).encode()
            return
        if script.call:
            yield event(self._chunk({"tool_calls": [{"index": 0, **self._call(script)}]}))
        yield event(self._chunk({}, script.finish))
        if (request.body.get("stream_options") or {}).get("include_usage"):
            yield event({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage(script)})
        yield b"data: [DONE]\n\n"

    def refuse(self, refusal: Refusal) -> bytes:
        return json.dumps({"error": {"message": refusal.message, "type": "x", "code": None, "param": None}}).encode()

    def key(self, request: Request) -> str:
        return request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")

    def embed(self, request: Request) -> dict[str, Any]:
        rows = [[1.0, 2.0] for _ in request.body["input"]]
        data = [{"object": "embedding", "index": number, "embedding": row} for number, row in enumerate(rows)]
        return {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "m"}

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def _call(self, script: Script) -> dict[str, Any]:
        assert script.call
        function = {"name": script.call.name, "arguments": script.call.arguments}
        return {"id": script.call.id, "type": "function", "function": function}

    def _usage(self, script: Script) -> dict[str, Any]:
        return {
            "prompt_tokens": script.prompt_tokens,
            "completion_tokens": script.completion_tokens,
            "total_tokens": script.prompt_tokens + script.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": script.cached_tokens},
        }

    def _whole(self, script: Script) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(script.texts), "refusal": None}
        if script.reasoning:
            message["reasoning_content"] = script.reasoning
        if script.call:
            message["tool_calls"] = [self._call(script)]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": script.finish}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage(script)}


class AnthropicWire:
    reasons = True
    embeds = False

    def __init__(self, **entry: Any) -> None:
        self.entry = entry

    def is_stream(self, request: Request) -> bool:
        return True

    def content_type(self, request: Request) -> str:
        return SSE

    def begin(self, script: Script, request: Request) -> Iterator[bytes]:
        usage = {
            "input_tokens": script.prompt_tokens - script.cached_tokens,
            "cache_read_input_tokens": script.cached_tokens,
            "cache_creation_input_tokens": 0,
            "output_tokens": 1,
        }
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
        yield self._event("message_start", message={**message, "stop_reason": None, "stop_sequence": None})
        yield self._event("ping")
        if script.reasoning:
            thinking = {"type": "thinking", "thinking": "", "signature": ""}
            yield self._event("content_block_start", index=0, content_block=thinking)
            yield self._delta(0, {"type": "thinking_delta", "thinking": script.reasoning})
            yield self._delta(0, {"type": "signature_delta", "signature": "signed"})
            yield self._event("content_block_stop", index=0)
        yield self._event("content_block_start", index=1, content_block={"type": "text", "text": ""})
        for text in script.texts:
            yield self._delta(1, {"type": "text_delta", "text": text})

    def end(self, script: Script, request: Request) -> Iterator[bytes]:
        yield self._event("content_block_stop", index=1)
        if script.call:
            tool = {"type": "tool_use", "id": script.call.id, "name": script.call.name, "input": {}}
            yield self._event("content_block_start", index=2, content_block=tool)
            for piece in _halves(script.call.arguments):
                yield self._delta(2, {"type": "input_json_delta", "partial_json": piece})
            yield self._event("content_block_stop", index=2)
        reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
        delta = {"stop_reason": reasons[script.finish], "stop_sequence": None}
        yield self._event("message_delta", delta=delta, usage={"output_tokens": script.completion_tokens})
        yield self._event("message_stop")

    def refuse(self, refusal: Refusal) -> bytes:
        kinds = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
        error = {"type": kinds.get(refusal.status, "invalid_request_error"), "message": refusal.message}
        return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()

    def key(self, request: Request) -> str:
        return request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")

    def _event(self, kind: str, **fields: Any) -> bytes:
        return event({"type": kind, **fields}, kind)

    def _delta(self, index: int, delta: Mapping[str, Any]) -> bytes:
        return self._event("content_block_delta", index=index, delta=delta)


class GeminiWire:
    reasons = True
    embeds = True

    def __init__(self, **entry: Any) -> None:
        self.entry = entry

    def is_stream(self, request: Request) -> bool:
        return "streamGenerateContent" in request.path

    def content_type(self, request: Request) -> str:
        return SSE if self.is_stream(request) else JSON

    def begin(self, script: Script, request: Request) -> Iterator[bytes]:
        if not self.is_stream(request):
            return
        if script.reasoning:
            yield self._frame([{"text": script.reasoning, "thought": True}])
        for text in script.texts:
            yield self._frame([{"text": text}])

    def end(self, script: Script, request: Request) -> Iterator[bytes]:
        if self.is_stream(request):
            yield self._frame(self._call(script), script)
            return
        thoughts = [{"text": script.reasoning, "thought": True}] if script.reasoning else []
        parts = [*thoughts, {"text": "".join(script.texts)}, *self._call(script)]
        yield json.dumps(self._response(parts, script)).encode()

    def refuse(self, refusal: Refusal) -> bytes:
        status = {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(refusal.status, "INVALID_ARGUMENT")
        return json.dumps({"error": {"code": refusal.status, "message": refusal.message, "status": status}}).encode()

    def key(self, request: Request) -> str:
        return request.headers.get("x-goog-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")

    def embed(self, request: Request) -> dict[str, Any]:
        if "predict" in request.path:
            row = {"embeddings": {"values": [1.0, 2.0], "statistics": {"token_count": 3}}}
            return {"predictions": [row for _ in request.body["instances"]]}
        return {"embeddings": [{"values": [1.0, 2.0]} for _ in request.body.get("requests", [0])]}

    def _call(self, script: Script) -> list[dict[str, Any]]:
        if not script.call:
            return []
        call = {"id": script.call.id, "name": script.call.name, "args": json.loads(script.call.arguments)}
        return [{"functionCall": call, "thoughtSignature": "c2lnbmVk"}]

    def _frame(self, parts: list[dict[str, Any]], script: Script | None = None) -> bytes:
        return b"data: " + json.dumps(self._response(parts, script)).encode() + b"\r\n\r\n"

    def _response(self, parts: list[dict[str, Any]], script: Script | None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        response: dict[str, Any] = {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}
        if script:
            reasons = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
            candidate["finishReason"] = reasons.get(script.finish, "STOP")
            response["usageMetadata"] = {
                "promptTokenCount": script.prompt_tokens,
                "cachedContentTokenCount": script.cached_tokens,
                "candidatesTokenCount": script.completion_tokens - 2,
                "thoughtsTokenCount": 2,
                "totalTokenCount": script.prompt_tokens + script.completion_tokens,
            }
        return response


class BedrockWire:
    reasons = True
    embeds = False

    def __init__(self, **entry: Any) -> None:
        self.entry = entry

    def is_stream(self, request: Request) -> bool:
        return True

    def content_type(self, request: Request) -> str:
        return "application/vnd.amazon.eventstream"

    def begin(self, script: Script, request: Request) -> Iterator[bytes]:
        yield frame("messageStart", {"role": "assistant"})
        if script.reasoning:
            for thought in ({"text": script.reasoning}, {"signature": "signed"}):
                delta = {"reasoningContent": thought}
                yield frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta})
            yield frame("contentBlockStop", {"contentBlockIndex": 0})
        for text in script.texts:
            yield frame("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": text}})

    def end(self, script: Script, request: Request) -> Iterator[bytes]:
        yield frame("contentBlockStop", {"contentBlockIndex": 1})
        if script.call:
            start = {"toolUse": {"toolUseId": script.call.id, "name": script.call.name}}
            yield frame("contentBlockStart", {"contentBlockIndex": 2, "start": start})
            for piece in _halves(script.call.arguments):
                yield frame("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": piece}}})
            yield frame("contentBlockStop", {"contentBlockIndex": 2})
        reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
        yield frame("messageStop", {"stopReason": reasons.get(script.finish, "content_filtered")})
        usage = {
            "inputTokens": script.prompt_tokens - script.cached_tokens,
            "cacheReadInputTokens": script.cached_tokens,
            "outputTokens": script.completion_tokens,
            "totalTokens": script.prompt_tokens + script.completion_tokens,
        }
        yield frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})

    def refuse(self, refusal: Refusal) -> bytes:
        return json.dumps({"message": refusal.message}).encode()

    def key(self, request: Request) -> str:
        """Of a signature only the name of the key can be seen."""
        access_key = request.headers["authorization"].partition("Credential=")[2].partition("/")[0]
        return f"{access_key}:secret"


def frame(kind: str, payload: Mapping[str, Any], message: str = "event") -> bytes:
    """A message of Amazon's event stream: lengths, headers, payload, each with its checksum."""
    names = {":event-type" if message == "event" else ":exception-type": kind, ":message-type": message}
    names[":content-type"] = JSON
    headers = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for name, value in names.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    start = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return start + struct.pack(">I", zlib.crc32(start))


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


KEY = "sk-secret-of-the-server"

WIRES: Mapping[str, Wire] = {
    "openai": OpenAIWire(api_type="openai", api_key=KEY),
    "mistral": OpenAIWire(api_type="mistral", api_key=KEY),
    "openai_no_stream": OpenAIWire(api_type="openai_no_stream", api_key=KEY),
    "openai_o1": OpenAIWire(api_type="openai_o1", api_key=KEY),
    "azure": OpenAIWire(api_type="azure", api_key=KEY),
    "anthropic": AnthropicWire(api_type="anthropic", api_key=KEY),
    "anthropic_message": AnthropicWire(api_type="anthropic_message", api_key=KEY),
    "anthropic_message_vertex": AnthropicWire(api_type="anthropic_message_vertex", api_key=KEY, project="p"),
    "gemini": GeminiWire(api_type="gemini", api_key=KEY),
    "gemini_no_stream": GeminiWire(api_type="gemini_no_stream", api_key=KEY),
    "vertex": GeminiWire(api_type="vertex", api_key=KEY, project="p", location="europe-west1"),
    "bedrock": BedrockWire(api_type="bedrock", api_key="AKIAKEY:secret", region="us-east-1"),
}
