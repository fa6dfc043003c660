"""Pieces → OpenAI's answer, whole or as chunks. The only place where translated answers get OpenAI's form."""

import base64
import json
import secrets
import struct
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from fastchat.client.providers.base import Dialect, Embeddings, Piece, ToolCallPiece, Usage
from fastchat.core.errors import WorkerFailed
from fastchat.protocol.openai import SSE_DONE, ChatRequest, EmbeddingRequest, sse

NOTHING = Usage(0, 0)


async def chat_events(dialect: Dialect, request: ChatRequest) -> AsyncGenerator[bytes, None]:
    """The chunks of an answer; none before the provider's first piece, so that what it refuses can have a status.

    Several answers (`n`) are written one after the other: providers give one at a time.
    """
    head = _head("chat.completion.chunk", request.model)
    wants_usage = bool(request.stream_options and request.stream_options.include_usage)
    last: dict[str, Any] = {"usage": None} if wants_usage else {}
    total = NOTHING

    def chunk(choice: Mapping[str, Any]) -> bytes:
        return sse({**head, "choices": [choice], **last})

    for index in range(request.n or 1):
        finish, usage = None, NOTHING
        has_begun = False
        async with aclosing(dialect.chat(request)) as pieces:
            async for piece in pieces:
                if not has_begun:
                    has_begun = True
                    yield chunk(_choice(index, {"role": "assistant", "content": ""}))
                if delta := _delta(piece):
                    yield chunk(_choice(index, delta, piece.logprobs))
                finish = piece.finish_reason or finish
                usage = piece.usage or usage
        total += usage
        yield chunk(_choice(index, {}, finish_reason=_ended(finish)))
    if wants_usage:
        yield sse({**head, "choices": [], "usage": _usage(total)})
    yield SSE_DONE


async def chat_answer(dialect: Dialect, request: ChatRequest) -> bytes:
    choices = []
    total = NOTHING
    for index in range(request.n or 1):
        async with aclosing(dialect.chat(request)) as stream:
            pieces = [piece async for piece in stream]
        finish = next((piece.finish_reason for piece in pieces if piece.finish_reason), None)
        logprobs = _logprobs([entry for piece in pieces for entry in piece.logprobs])
        message = {"index": index, "message": _message(pieces), "logprobs": logprobs, "finish_reason": _ended(finish)}
        choices.append(message)
        total += next((piece.usage for piece in reversed(pieces) if piece.usage), NOTHING)
    return _to_json({**_head("chat.completion", request.model), "choices": choices, "usage": _usage(total)})


def embeddings_answer(request: EmbeddingRequest, embeddings: Embeddings) -> bytes:
    in_base64 = request.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(row) if in_base64 else list(row)}
        for index, row in enumerate(embeddings.rows)
    ]
    usage = {"prompt_tokens": embeddings.prompt_tokens, "total_tokens": embeddings.prompt_tokens}
    return _to_json({"object": "list", "data": data, "model": request.model, "usage": usage})


def _to_json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _head(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": None,
    }


def _choice(
    index: int, delta: Mapping[str, Any], logprobs: Sequence[Mapping[str, Any]] = (), finish_reason: str | None = None
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": _logprobs(logprobs), "finish_reason": finish_reason}


def _logprobs(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    return {"content": list(entries), "refusal": None} if entries else None


def _delta(piece: Piece) -> dict[str, Any]:
    fields: dict[str, Any] = dict(piece.extra)
    if piece.reasoning:
        fields |= _thoughts(piece.reasoning)
    if piece.text:
        fields["content"] = piece.text
    if piece.tool_calls:
        fields["tool_calls"] = [_call_delta(call) for call in piece.tool_calls]
    return fields


def _call_delta(call: ToolCallPiece) -> dict[str, Any]:
    if call.name is None:
        return {"index": call.index, "function": {"arguments": call.arguments}, **call.extra}
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": call.index, "id": call.id, "type": "function", "function": function, **call.extra}


def _message(pieces: Sequence[Piece]) -> dict[str, Any]:
    text = "".join(piece.text for piece in pieces)
    reasoning = "".join(piece.reasoning for piece in pieces)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls := _calls([call for piece in pieces for call in piece.tool_calls]):
        message |= {"content": text or None, "tool_calls": calls}
    if reasoning:
        message |= _thoughts(reasoning)
    for piece in pieces:
        for name, values in piece.extra.items():
            message[name] = [*message.get(name, ()), *values]
    return message


def _calls(pieces: Sequence[ToolCallPiece]) -> list[dict[str, Any]]:
    calls: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        if piece.name is not None:
            function = {"name": piece.name, "arguments": ""}
            calls[piece.index] = {"id": piece.id, "type": "function", "function": function}
        calls[piece.index] |= piece.extra
        calls[piece.index]["function"]["arguments"] += piece.arguments
    return list(calls.values())


def _thoughts(reasoning: str) -> dict[str, str]:
    """Newer clients read `reasoning`, older ones `reasoning_content`."""
    return {"reasoning": reasoning, "reasoning_content": reasoning}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _ended(finish: str | None) -> str:
    if finish is None:
        raise WorkerFailed("The provider's answer broke off before its end.")
    return finish


def _packed(row: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()
