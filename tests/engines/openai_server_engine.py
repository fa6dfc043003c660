"""An engine over the API of a server like vLLM, so that the contract can be asked of it too. For tests only: callers
talk to such servers themselves."""

import json
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, WorkerFailed
from fastchat.engines.base import (
    ChatPrompt,
    Delta,
    Embeddings,
    EngineInfo,
    GenerationRequest,
    GrammarConstraint,
    JsonConstraint,
    Sampling,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

# What vLLM does otherwise than the contract says: test → why that is so, and what it means to a caller. Every line is a
# test that is expected to fail, and found out when it does not.
VLLM_DEVIATIONS = {
    "test_no_tokens_asked_no_tokens_given": "max_tokens must be at least 1: the caller gets a 400",
    "test_logprobs_tell_nothing_of_a_stop_string": "of the token in which a stop string begins it tells",
    "test_a_demanded_tool_is_called[required]": "the arguments it has the model write need not follow their schema",
    "test_a_demanded_tool_is_called[get_time]": "an answer that calls the one function asked for ends with `stop`",
    "test_a_prompt_that_does_not_fit_is_told_in_tokens": "it stops counting at one token too many: a 400 all the same",
}

Json = dict[str, Any]


class OpenAIServerEngine:
    def __init__(self, session: aiohttp.ClientSession, url: str, model: str, info: EngineInfo) -> None:
        self.info = info
        self._session = session
        self._url = url
        self._model = model

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        is_chat = isinstance(request.prompt, ChatPrompt)
        route = "/v1/chat/completions" if is_chat else "/v1/completions"
        if request.adapter is not None and request.adapter not in self.info.adapters:
            raise InvalidRequest(f"There is no adapter {request.adapter!r}.", param="adapter")
        body = _body(request) | {"model": request.adapter or self._model, "stream": True}
        body["stream_options"] = {"include_usage": True}
        last: Json = {}
        async with self._session.post(self._url + route, json=body) as reply:
            await _check(reply)
            async for line in reply.content:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                if "error" in event:
                    raise _error(400, event["error"])
                if not event["choices"]:
                    yield _delta(last, is_chat=is_chat, usage=_usage(event["usage"]))
                elif event["choices"][0].get("finish_reason"):
                    last = event["choices"][0]
                else:
                    yield _delta(event["choices"][0], is_chat=is_chat)

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        raise InvalidRequest("A server that generates text gives no embeddings.")

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return await self._tokens({"prompt": text, "add_special_tokens": add_special})

    async def detokenize(self, tokens: Sequence[int]) -> str:
        try:
            text: str = (await self._post("/detokenize", {"tokens": list(tokens)}))["prompt"]
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param="tokens") from None
        return text

    async def render(self, prompt: ChatPrompt) -> str:
        return await self.detokenize(await self._tokens(_chat(prompt) | {"add_special_tokens": False}))

    async def is_healthy(self) -> bool:
        async with self._session.get(f"{self._url}/health") as reply:
            return reply.status == 200

    async def close(self) -> None:
        await self._session.close()

    async def _tokens(self, body: Json) -> list[int]:
        tokens: list[int] = (await self._post("/tokenize", body))["tokens"]
        return tokens

    async def _post(self, route: str, body: Json) -> Json:
        async with self._session.post(self._url + route, json={"model": self._model, **body}) as reply:
            await _check(reply)
            content: Json = await reply.json()
            return content


async def _check(reply: aiohttp.ClientResponse) -> None:
    if reply.status != 200:
        raise _error(reply.status, (await reply.json()).get("error", {}))


def _error(status: int, error: Json) -> Exception:
    message = str(error.get("message", error))
    if status >= 500:
        return WorkerFailed(message)
    if found := re.search(r"maximum context length is (\d+) tokens.*?(\d+) input tokens", message, re.DOTALL):
        return ContextLengthExceeded(int(found[2]), int(found[1]))
    about_schema = re.search("schema|grammar|structured", message, re.IGNORECASE)
    return InvalidRequest(message, param="response_format" if about_schema else error.get("param"))


def _body(request: GenerationRequest) -> Json:
    body = _sampling(request.sampling)
    prompt = request.prompt
    if isinstance(prompt, ChatPrompt):
        body |= _chat(prompt)
        if request.top_logprobs is not None:
            body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    else:
        body |= {"prompt": prompt.text, "suffix": prompt.suffix, "logprobs": request.top_logprobs}
    match request.constraint:
        case JsonConstraint(None):
            body["response_format"] = {"type": "json_object"}
        case JsonConstraint(schema):
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        case GrammarConstraint(grammar):
            body["structured_outputs"] = {"grammar": grammar}
    return {name: value for name, value in body.items() if value is not None}


def _chat(prompt: ChatPrompt) -> Json:
    continues = bool(prompt.messages) and prompt.messages[-1]["role"] == "assistant"
    body: Json = {
        "messages": list(prompt.messages),
        "add_generation_prompt": not continues,
        "continue_final_message": continues,
    }
    if prompt.tools:
        choice = prompt.tool_choice
        named = {"type": "function", "function": {"name": choice}}
        body |= {"tools": list(prompt.tools), "parallel_tool_calls": prompt.parallel_tool_calls}
        body["tool_choice"] = choice if choice in ("auto", "none", "required") else named
    return body


def _sampling(sampling: Sampling) -> Json:
    return {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "stop_token_ids": list(sampling.stop_token_ids) or None,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias.items()} or None,
        "ignore_eos": sampling.ignore_eos,
    }


def _delta(choice: Json, *, is_chat: bool, usage: Usage | None = None) -> Delta:
    said = choice.get("delta") or {}
    return Delta(
        text=(said.get("content") if is_chat else choice.get("text")) or "",
        reasoning=said.get("reasoning") or "",
        tool_calls=tuple(map(_call, said.get("tool_calls") or ())),
        logprobs=tuple(map(_logprob, (choice.get("logprobs") or {}).get("content") or ())),
        finish_reason=choice.get("finish_reason"),
        usage=usage,
    )


def _call(part: Json) -> ToolCallDelta:
    function = part.get("function") or {}
    return ToolCallDelta(part["index"], part.get("id"), function.get("name"), function.get("arguments") or "")


def _logprob(entry: Json) -> TokenLogprob:
    top = tuple(map(_logprob, entry.get("top_logprobs") or ()))
    return TokenLogprob(entry["token"], entry["logprob"], tuple(entry["bytes"] or ()), top)


def _usage(usage: Json) -> Usage:
    return Usage(usage["prompt_tokens"], usage.get("completion_tokens", 0))
