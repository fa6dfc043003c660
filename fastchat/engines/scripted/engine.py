"""The scripted engine: plays an answer token by token, as a real engine would send it.

It has slots, a context, a prefix cache and a byte-level tokenizer, so that everything around an engine can be tested
and loaded without a model. Sampling settings are accepted and change nothing: there is nothing to sample from.
"""

import asyncio
import hashlib
import math
import os
import struct
from collections.abc import AsyncGenerator, Sequence

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, SetupError, WorkerFailed
from fastchat.engines.base import ChatPrompt, Delta, Embeddings, EngineInfo, GenerationRequest, TextPrompt, Usage
from fastchat.engines.registry import EngineOptions
from fastchat.engines.scripted import conversation
from fastchat.engines.scripted.playback import Pace, Playback, plan
from fastchat.engines.scripted.prefix_cache import PrefixCache
from fastchat.engines.scripted.script import Script, ScriptedArgs, failure, parse_args
from fastchat.engines.scripted.tokens import text_of, tokens_of

DEFAULT_SLOTS = 256
DEFAULT_CONTEXT = 8192


async def load(options: EngineOptions) -> "ScriptedEngine":
    """
    Raises:
        SetupError: see `check`.
    """
    return ScriptedEngine(options, check(options))


def check(options: EngineOptions) -> ScriptedArgs:
    """
    Raises:
        SetupError: the options ask for what this engine does not have.
    """
    if options.chat_template is not None:
        raise SetupError("The engine 'scripted' has no chat template to replace.")
    return parse_args(options.engine_args)


class ScriptedEngine:
    def __init__(self, options: EngineOptions, args: ScriptedArgs) -> None:
        self._script = args
        self._cache = PrefixCache(args.prefix_cache_tokens)
        self._closed = False
        self._info = EngineInfo(
            engine="scripted",
            context_length=options.context_length or DEFAULT_CONTEXT,
            slots=options.slots or DEFAULT_SLOTS,
            features=frozenset(
                ("chat", "completions", "embeddings", "logprobs", "json_schema", "tools", "infill", "vision")
            ),
            adapters=tuple(options.adapters),
            embedding_size=args.embedding_size,
        )
        self._free = asyncio.Semaphore(self._info.slots)

    @property
    def info(self) -> EngineInfo:
        return self._info

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        if self._closed:
            raise WorkerFailed("The engine is closed.")
        if request.adapter is not None and request.adapter not in self._info.adapters:
            raise InvalidRequest(f"There is no adapter {request.adapter!r}.", param="model")
        script = self._script.changed_by(request.extra)
        prompt = _prompt_tokens(request.prompt)
        self._check_fits(prompt)
        answer = plan(request, script, self._info.context_length - len(prompt))
        async with self._free:
            cached = self._cache.match(prompt)
            pace = Pace(script, uncached_tokens=len(prompt) - cached)
            playback = Playback(request, answer.call)
            for piece in answer:
                await pace.wait()
                if playback.tokens == script.error_at_token:
                    _fail_as_told(script)
                if (delta := playback.push(piece)) is not None:
                    yield delta
                if playback.is_stopped:
                    break
            _fail_as_told(script)  # an answer shorter than `error_at_token` fails at its end
            self._cache.add(prompt)
            yield playback.finish(answer.reason, Usage(len(prompt), playback.tokens, cached))

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        texts = [text if isinstance(text, str) else text_of(text) for text in inputs]
        tokens = [tokens_of(text) for text in texts]
        for each in tokens:
            self._check_fits(each)
        rows = [_direction(text, self._script.embedding_size) for text in texts]
        return Embeddings(rows, prompt_tokens=sum(map(len, tokens)))

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return tokens_of(text)

    async def detokenize(self, tokens: Sequence[int]) -> str:
        return text_of(tokens)

    async def render(self, prompt: ChatPrompt) -> str:
        return conversation.render(prompt)

    async def is_healthy(self) -> bool:
        return not self._closed

    async def close(self) -> None:
        self._closed = True

    def _check_fits(self, prompt: Sequence[int]) -> None:
        if len(prompt) >= self._info.context_length:
            raise ContextLengthExceeded(len(prompt), self._info.context_length)


def _fail_as_told(script: Script) -> None:
    if script.error == "die":
        os._exit(70)  # as a crash would: no cleanup, no answer
    if script.error is not None:
        raise failure(script.error)


def _prompt_tokens(prompt: ChatPrompt | TextPrompt) -> list[int]:
    if isinstance(prompt, TextPrompt) and not isinstance(prompt.text, str):
        return [*prompt.text, *tokens_of(prompt.suffix or "")]
    return tokens_of(conversation.prompt_text(prompt))


def _direction(text: str, size: int) -> list[float]:
    """A unit vector that only depends on the text."""
    digest = hashlib.shake_256(text.encode(errors="replace")).digest(2 * size)
    numbers = struct.unpack(f"<{size}h", digest)
    length = math.hypot(*numbers) or 1.0
    return [number / length for number in numbers]
