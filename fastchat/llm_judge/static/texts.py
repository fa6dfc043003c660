"""What a model thinks of a text: its tokens, and how likely each was. Of a model that is served, or is loaded here.

No server of ours scores a prompt, so a token is made to come next (`logit_bias`), and the log-probability that comes
with it is read: our workers tell the model's own, from before the bias. `check` finds out a server that does not.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from fastchat.core.errors import FastChatError, InvalidRequest, QueueFull, SetupError, WorkerFailed

if TYPE_CHECKING:
    from fastchat.client.pipe import Pipe
    from fastchat.engines.base import Engine, TokenLogprob

_FORCE = 100.0  # the most that OpenAI's API allows; no model's own logits are that far apart
NEARLY = 1e-6  # log-probabilities that differ by less are equal
_Json: TypeAlias = Mapping[str, Any]  # read from the wire, and checked where it is used


class Likelihood(NamedTuple):
    logprob: float  # of all tokens of an ending together
    is_greedy: bool  # each of them was the likeliest


class NextToken(NamedTuple):
    text: str
    logprob: float
    is_likeliest: bool


class Texts(Protocol):
    async def tokens(self, text: str) -> Sequence[int]:
        """As the model gets the text: with what its tokenizer puts before it."""
        ...

    async def force(self, before: Sequence[int], token: int) -> NextToken:
        """How likely the token is behind those before.

        Raises:
            FastChatError: the server does not answer, or the text is too long for the model.
        """
        ...


async def check(texts: Texts, model: str) -> None:
    """
    Raises:
        SetupError: the model's tokens cannot be had, a forced token does not come, or its likelihood is the bias's.
    """
    try:
        tokens = list(dict.fromkeys(await texts.tokens("Yes and no, or both")))
        if len(tokens) < 3:
            raise InvalidRequest("Its /tokenize finds no tokens in a text.")
        said = [await texts.force(tokens[:1], token) for token in tokens[-2:]]
    except InvalidRequest as error:
        raise SetupError(
            f"{model!r} cannot be asked how likely a text is: {error.message} It takes a server with /tokenize and "
            "logprobs in /v1/completions (a worker with the engine llamacpp or hf), or one that scores an echo (vLLM). "
            "Tasks that generate need neither."
        ) from None
    if len({each.text for each in said}) < len(said):
        fault = "does not heed logit_bias"
    elif sum(math.exp(each.logprob) for each in said) > 1 + NEARLY:  # of one place in a text
        fault = "tells how likely a token is only after logit_bias"
    else:
        return
    raise SetupError(
        f"The server of {model!r} {fault}, so it does not tell how likely a text is to the model. Use a worker with "
        "the engine llamacpp or hf, or vLLM, or load the model here."
    )


class EngineTexts:
    """Of an engine in this process."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._slots = asyncio.Semaphore(engine.info.slots)

    async def tokens(self, text: str) -> Sequence[int]:
        return await self._engine.tokenize(text, add_special=True)

    async def force(self, before: Sequence[int], token: int) -> NextToken:
        from fastchat.engines.base import GenerationRequest, Sampling, TextPrompt

        sampling = Sampling(max_tokens=1, logit_bias={token: _FORCE})
        request = GenerationRequest(TextPrompt(before), sampling, top_logprobs=1)
        found: list[TokenLogprob] = []
        async with self._slots, aclosing(self._engine.generate(request)) as deltas:
            async for delta in deltas:
                found += delta.logprobs
        if not found:
            raise _ended()
        best = max((other.logprob for other in found[0].top), default=found[0].logprob)
        return NextToken(found[0].token, found[0].logprob, found[0].logprob >= best - NEARLY)


@dataclass(frozen=True, slots=True)
class Post:
    """A request to a model's server."""

    path: str
    model: str
    fields: _Json


class ServedTexts:
    def __init__(self, model: str, post: Callable[[Post], Awaitable[_Json]]) -> None:
        self._model = model
        self._post = post

    async def tokens(self, text: str) -> Sequence[int]:
        reply = await self._post(Post("/tokenize", self._model, {"prompt": text}))
        found = reply.get("tokens")
        if not isinstance(found, list) or not all(isinstance(token, int) for token in found):
            raise InvalidRequest("Its /tokenize gives no list of tokens.")
        return found

    async def force(self, before: Sequence[int], token: int) -> NextToken:
        fields = {
            "prompt": list(before),
            "max_tokens": 1,
            "temperature": 1.0,  # at 0 the engine llamacpp would read the whole prompt anew for each token
            "logit_bias": {str(token): _FORCE},
            "logprobs": 1,
        }
        reply = await self._post(Post("/v1/completions", self._model, fields))
        try:
            told = reply["choices"][0]["logprobs"]
            if not told["tokens"]:
                raise _ended()
            logprob = float(told["token_logprobs"][0])
            best = max((float(value) for value in (told["top_logprobs"] or [{}])[0].values()), default=logprob)
            return NextToken(str(told["tokens"][0]), logprob, logprob >= best - NEARLY)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            raise InvalidRequest("Its /v1/completions gives no logprobs.") from None


def poster(pipe: "Pipe", api_key: str | None) -> Callable[[Post], Awaitable[_Json]]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {api_key}"} if api_key else {})

    async def post(request: Post) -> _Json:
        """
        Raises:
            FastChatError: nobody answers, or the request is refused.
        """
        from fastchat.client.pipe import Call

        fields = {"model": request.model, **request.fields}
        body = json.dumps(fields).encode()
        async with pipe.send(Call(request.path, request.model, body, fields, headers)) as answer:
            return _read(answer.status, answer.body)

    return post


def _read(status: int, body: bytes) -> _Json:
    try:
        reply = json.loads(body)
    except ValueError:
        reply = None
    if status == 200 and isinstance(reply, dict):
        return reply
    said = reply.get("error", reply) if isinstance(reply, dict) else None
    message = said.get("message") if isinstance(said, dict) else None
    raise _refusal(status)(str(message or f"The server answered with status {status}."))


def _refusal(status: int) -> type[FastChatError]:
    if status == 429:
        return QueueFull
    return InvalidRequest if 400 <= status < 500 else WorkerFailed


def _ended() -> WorkerFailed:
    return WorkerFailed("The model ended where a token was asked of it.")
