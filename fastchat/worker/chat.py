"""`POST /v1/chat/completions`: deltas → OpenAI's message or chunks."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from fastchat.engines.base import Delta, ToolCallDelta, Usage
from fastchat.protocol.openai import SSE_DONE, ChatRequest
from fastchat.worker.choices import Piece, WholeAnswer, gather, total_usage
from fastchat.worker.wire import Head, chat_logprobs, to_json, usage_fields


async def chat_answer(request: ChatRequest, answers: list[AsyncGenerator[Delta, None]]) -> dict[str, Any]:
    whole = await gather(answers)
    usage = total_usage((answer.usage for answer in whole), choices_per_prompt=len(whole))
    choices = [_choice(index, answer, request) for index, answer in enumerate(whole)]
    head = Head("chatcmpl", "chat.completion", request.model)
    return {**head.fields, "choices": choices, "usage": usage_fields(usage)}


def _choice(index: int, answer: WholeAnswer, request: ChatRequest) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if not answer.tool_calls:
        message["content"] = answer.text
    else:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
    if answer.reasoning:
        message |= _thoughts(answer.reasoning)
    logprobs = chat_logprobs(answer.logprobs) if request.logprobs else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": answer.finish_reason}


async def chat_events(request: ChatRequest, pieces: AsyncIterator[Piece]) -> AsyncGenerator[bytes, None]:
    """The chunks of a streamed answer, usage last if it was asked for."""
    head = Head("chatcmpl", "chat.completion.chunk", request.model)
    include_usage = bool(request.stream_options and request.stream_options.include_usage)
    usage_field = ',"usage":null' if include_usage else ""
    begun: set[int] = set()
    usages: list[Usage] = []
    async for choice, delta in pieces:
        if choice not in begun:
            begun.add(choice)
            first = {"role": "assistant", "content": ""}
            yield head.event(_chunk(choice, to_json(first), "null", "null", usage_field))
        logprobs = to_json(chat_logprobs(delta.logprobs)) if delta.logprobs else "null"
        if delta.finish_reason is None:
            yield head.event(_chunk(choice, _delta_json(delta), logprobs, "null", usage_field))
            continue
        if delta.text or delta.reasoning or delta.tool_calls or delta.logprobs:
            yield head.event(_chunk(choice, _delta_json(delta), logprobs, "null", usage_field))
        yield head.event(_chunk(choice, "{}", "null", to_json(delta.finish_reason), usage_field))
        usages.append(delta.usage or Usage(0, 0))
    if include_usage:
        usage = total_usage(usages, choices_per_prompt=max(1, len(usages)))
        yield head.event(f'"choices":[],"usage":{to_json(usage_fields(usage))}')
    yield SSE_DONE


def _chunk(choice: int, delta: str, logprobs: str, finish_reason: str, usage_field: str) -> str:
    return (
        f'"choices":[{{"index":{choice},"delta":{delta},"logprobs":{logprobs},'
        f'"finish_reason":{finish_reason}}}]{usage_field}'
    )


def _delta_json(delta: Delta) -> str:
    if not delta.reasoning and not delta.tool_calls:
        return f'{{"content":{to_json(delta.text)}}}'
    fields: dict[str, Any] = _thoughts(delta.reasoning) if delta.reasoning else {}
    if delta.text:
        fields["content"] = delta.text
    if delta.tool_calls:
        fields["tool_calls"] = [_tool_call(call) for call in delta.tool_calls]
    return to_json(fields)


def _tool_call(call: ToolCallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": call.arguments}
    if call.name is None:
        return {"index": call.index, "function": function}
    return {"index": call.index, "id": call.id, "type": "function", "function": {"name": call.name, **function}}


def _thoughts(reasoning: str) -> dict[str, str]:
    """Newer clients read `reasoning`, older ones `reasoning_content`."""
    return {"reasoning": reasoning, "reasoning_content": reasoning}
