"""`POST /v1/completions`: deltas → OpenAI's text choices or chunks."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from fastchat.engines.base import Delta, Usage
from fastchat.protocol.openai import SSE_DONE, CompletionRequest
from fastchat.worker.choices import Piece, WholeAnswer, gather, total_usage
from fastchat.worker.wire import Head, completion_logprobs, to_json, usage_fields


async def completion_answer(
    request: CompletionRequest, answers: list[AsyncGenerator[Delta, None]], echoes: Sequence[str]
) -> dict[str, Any]:
    """`answers` holds the candidates of the first prompt, then of the second, …; `echoes` a text for each prompt."""
    whole = await gather(answers)
    per_prompt = len(whole) // len(echoes)
    usage = total_usage((answer.usage for answer in whole), choices_per_prompt=per_prompt)
    choices: list[dict[str, Any]] = []
    for number, echo in enumerate(echoes):
        candidates = whole[number * per_prompt : (number + 1) * per_prompt]
        if len(candidates) > (request.n or 1):
            candidates.sort(key=lambda answer: answer.mean_logprob, reverse=True)
        choices += [_choice(len(choices) + i, one, echo, request) for i, one in enumerate(candidates[: request.n or 1])]
    return {**_head(request).fields, "choices": choices, "usage": usage_fields(usage)}


def _choice(index: int, answer: WholeAnswer, echo: str, request: CompletionRequest) -> dict[str, Any]:
    logprobs = completion_logprobs(answer.logprobs, len(echo)) if request.logprobs is not None else None
    return {"index": index, "text": echo + answer.text, "logprobs": logprobs, "finish_reason": answer.finish_reason}


async def completion_events(
    request: CompletionRequest, pieces: AsyncIterator[Piece], echoes: Sequence[str]
) -> AsyncGenerator[bytes, None]:
    """The chunks of a streamed answer; each choice begins with its echo, if one was asked for."""
    head = _head(request)
    include_usage = bool(request.stream_options and request.stream_options.include_usage)
    usage_field = ',"usage":null' if include_usage else ""
    n = request.n or 1
    lengths: dict[int, int] = {}  # characters of each choice so far
    usages: dict[int, Usage] = {}
    async for choice, delta in pieces:
        if choice not in lengths:
            echo = echoes[choice // n]
            lengths[choice] = len(echo)
            if echo:
                yield head.event(_chunk(choice, echo, "null", "null", usage_field))
        logprobs = to_json(completion_logprobs(delta.logprobs, lengths[choice])) if delta.logprobs else "null"
        lengths[choice] += len(delta.text)
        finish_reason = to_json(delta.finish_reason) if delta.finish_reason else "null"
        yield head.event(_chunk(choice, delta.text, logprobs, finish_reason, usage_field))
        if delta.usage is not None:
            usages[choice] = delta.usage
    if include_usage:
        usage = total_usage((usages[choice] for choice in sorted(usages)), choices_per_prompt=n)
        yield head.event(f'"choices":[],"usage":{to_json(usage_fields(usage))}')
    yield SSE_DONE


def _head(request: CompletionRequest) -> Head:
    return Head("cmpl", "text_completion", request.model)


def _chunk(choice: int, text: str, logprobs: str, finish_reason: str, usage_field: str) -> str:
    return (
        f'"choices":[{{"index":{choice},"text":{to_json(text)},"logprobs":{logprobs},'
        f'"finish_reason":{finish_reason}}}]{usage_field}'
    )
