"""The engine: slots in front of a process that batches whatever is in them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import (
    ChatPrompt,
    Delta,
    Embeddings,
    EngineInfo,
    Feature,
    FinishReason,
    GenerationRequest,
    JsonConstraint,
)
from fastchat.engines.openvino import requests
from fastchat.engines.openvino.answer import Answer
from fastchat.engines.openvino.forms import check_answer
from fastchat.engines.openvino.model import Model, described
from fastchat.engines.openvino.process import PipelineProcess
from fastchat.engines.openvino.settings import host_settings, is_rounded, parse_args, require_library
from fastchat.engines.registry import EngineOptions
from fastchat.model.derived import derived
from fastchat.model.requantize import requantize

log = logging.getLogger(__name__)


async def load(options: EngineOptions) -> "OpenvinoEngine":
    """
    Raises:
        SetupError: a file is missing or damaged, or the options do not fit the model.
    """
    settings = host_settings(options)
    require_library()
    model = Path(options.model_path)
    if is_rounded(model) and parse_args(options.engine_args).keep_quality:
        settings = settings.model_copy(update={"model_path": str(await asyncio.to_thread(_unrounded, model))})
    process, description = await PipelineProcess.start(settings)
    return OpenvinoEngine(process, described(settings, description, options.chat_template))


def _unrounded(model: Path) -> Path:
    """A copy with more bits, in which the library finds nothing to round."""
    log.info("%s is in Q4_1, which OpenVINO would round for the worse; a copy in Q8_0 is read instead", model)
    return derived(model, ".q8_0.gguf", lambda target: requantize(model, target, "q8_0"))


class OpenvinoEngine:
    def __init__(self, process: PipelineProcess, model: Model) -> None:
        self._process = process
        self._model = model
        # The library would queue as well, but a slot here is a promise that an answer is being worked on.
        self._free = asyncio.Semaphore(model.slots)

    @property
    def info(self) -> EngineInfo:
        always: frozenset[Feature] = frozenset(("completions", "json_schema"))
        chat: frozenset[Feature] = frozenset(("chat", "tools") if self._model.template else ())
        return EngineInfo("openvino", self._model.context_length, self._model.slots, always | chat)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        call = requests.build(request, self._model)
        answer = Answer(request.sampling, self._model, reads_calls=call.reads_calls)
        reason: FinishReason | None = None
        async with self._free, self._process.generating(call.order) as steps:
            async for step in steps:
                answer.prompt_tokens = step.prompt_tokens or answer.prompt_tokens
                if (delta := answer.add(step.tokens)) is not None:
                    yield delta
                reason = step.finish_reason
                if answer.is_stopped:
                    break
        last = answer.finish(reason or "stop")
        is_whole = last.finish_reason == "stop" and not answer.is_stopped
        if isinstance(request.constraint, JsonConstraint) and is_whole:
            check_answer(answer.text, request.constraint)
        yield last

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        raise InvalidRequest("The engine 'openvino' makes no embeddings.", param="model")

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return await self._process.tokenize(text.encode("utf-8", "replace").decode(), add_special=add_special)

    async def detokenize(self, tokens: Sequence[int]) -> str:
        self._model.check_tokens(tokens, param="tokens")
        return b"".join(self._model.pieces[token] for token in tokens).decode("utf-8", "replace")

    async def render(self, prompt: ChatPrompt) -> str:
        return requests.render(prompt, self._model)

    async def is_healthy(self) -> bool:
        return self._process.is_alive

    async def close(self) -> None:
        await self._process.close()
