"""The engine: requests are prepared in one thread, computed in another, and their answers come out here."""

import asyncio
import gc
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Self, TypeVar

from fastchat.core.errors import FastChatError, WorkerFailed
from fastchat.engines.base import ChatPrompt, Delta, Embeddings, EngineInfo, Feature, GenerationRequest
from fastchat.engines.hf.choosing import choose_backend, draft_model
from fastchat.engines.hf.embeddings import Embedder
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.loading import load_model
from fastchat.engines.hf.requests import RequestReader
from fastchat.engines.hf.scheduler import Scheduler, Sent
from fastchat.engines.hf.settings import DEFAULT_SLOTS, HfArgs, parse_args
from fastchat.engines.hf.speculation import DraftModel
from fastchat.engines.hf.thread import ModelThread
from fastchat.engines.hf.vocabulary import Vocabulary
from fastchat.engines.registry import EngineOptions

_Result = TypeVar("_Result")

# Of texts to embed, between two steps of the answers that are under way; a longer text is read alone.
_CPU_TEXT_TOKENS, _GPU_TEXT_TOKENS = 512, 16384


class HfEngine:
    def __init__(
        self, loaded: LoadedModel, args: HfArgs, slots: int, *, may_shorten: bool, draft: DraftModel | None = None
    ) -> None:
        vocabulary = Vocabulary(loaded.tokenizer, _logits(loaded))
        backend, context_length = choose_backend(loaded, args, slots, may_shorten=may_shorten, draft=draft)
        self._embedder = Embedder(loaded, args)
        self._embedded_at_once = _CPU_TEXT_TOKENS if loaded.device.type == "cpu" else _GPU_TEXT_TOKENS
        self._vocabulary = vocabulary
        self._requests = RequestReader(loaded, vocabulary, context_length)
        self._backend = backend
        self._thread = ModelThread(Scheduler(backend, vocabulary, slots))
        self._prompts = ThreadPoolExecutor(1, thread_name_prefix="hf-prompts")
        self._keys = itertools.count(1)
        self.info = EngineInfo(
            engine="hf",
            context_length=context_length,
            slots=slots,
            features=_features(loaded),
            adapters=loaded.adapters,
            embedding_size=self._embedder.size,
        )

    @classmethod
    def load(cls, options: EngineOptions) -> Self:
        """
        Raises:
            SetupError: the files, the options and the hardware do not go together.
        """
        args = parse_args(options.engine_args)
        loaded = load_model(options, args)
        draft = None
        if options.draft_model is not None:
            small = replace(options, model_path=options.draft_model, context_length=None, adapters={})
            draft = draft_model(load_model(small, args), loaded, args)
        may_shorten = options.context_length is None
        return cls(loaded, args, options.slots or DEFAULT_SLOTS, may_shorten=may_shorten, draft=draft)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        sent: asyncio.Queue[Sent] = asyncio.Queue()
        key = next(self._keys)
        send = partial(_hand_over, asyncio.get_running_loop(), sent)
        job = await self._prepare(lambda: self._requests.job(request, key, send))
        if job.answer.is_over:  # not a single token is wanted
            yield job.answer.last()
            return
        self._thread.submit(job)
        try:
            while True:
                item = await sent.get()
                if isinstance(item, FastChatError):
                    raise item
                yield item
                if item.finish_reason is not None:
                    return
        finally:
            self._thread.cancel(key)

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        tokens = await self._prepare(
            lambda: [
                self._vocabulary.encode(text, add_special=True) if isinstance(text, str) else text for text in inputs
            ]
        )
        rows: dict[int, Sequence[float]] = {}
        for numbers in _portions(tokens, self._embedded_at_once):
            part = await self._thread.run(partial(self._embedder.embed, [tokens[number] for number in numbers]))
            rows.update(zip(numbers, part.rows, strict=True))
        return Embeddings([rows[number] for number in range(len(tokens))], sum(map(len, tokens)))

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return await self._prepare(lambda: self._vocabulary.encode(text, add_special=add_special))

    async def detokenize(self, tokens: Sequence[int]) -> str:
        self._vocabulary.check(tokens, param="tokens")
        return self._vocabulary.spell(tokens)

    async def render(self, prompt: ChatPrompt) -> str:
        return await self._prepare(lambda: self._requests.render(prompt))

    async def is_healthy(self) -> bool:
        return self._thread.is_healthy

    async def close(self) -> None:
        await self._thread.close()
        await asyncio.to_thread(self._prompts.shutdown)
        self._backend.close()
        gc.collect()

    async def _prepare(self, work: Callable[[], _Result]) -> _Result:
        """In the one thread that may use the tokenizer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._prompts, work)
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise WorkerFailed("The engine is closed.") from None
            raise


def _hand_over(loop: asyncio.AbstractEventLoop, sent: "asyncio.Queue[Sent]", item: Sent) -> None:
    """From the model's thread to the event loop of whoever waits for the answer."""
    try:
        loop.call_soon_threadsafe(sent.put_nowait, item)
    except RuntimeError:
        pass  # the loop is closed, so nobody waits


def _portions(texts: Sequence[Sequence[int]], most_tokens: int) -> Iterator[list[int]]:
    """Numbers of texts of about the same length, the longest first: one that is too long is refused at once."""
    portion: list[int] = []
    for number in sorted(range(len(texts)), key=lambda number: -len(texts[number])):
        if portion and len(texts[portion[0]]) * (len(portion) + 1) > most_tokens:
            yield portion
            portion = []
        portion.append(number)
    if portion:
        yield portion


def _logits(loaded: LoadedModel) -> int:
    head = loaded.model.get_output_embeddings() or loaded.model.get_input_embeddings()
    return int(head.weight.shape[0])


def _features(loaded: LoadedModel) -> frozenset[Feature]:
    generates = loaded.kind != "encoder"
    has_template = generates and loaded.chat_template is not None
    able: dict[Feature, bool] = {
        "embeddings": True,
        "completions": generates,
        "logprobs": generates,
        "json_schema": generates and loaded.tokenizer.is_fast,
        "chat": has_template,
        "tools": has_template and loaded.tokenizer.is_fast,
        "adapters": bool(loaded.adapters),
        "vision": has_template and loaded.processor is not None,
    }
    return frozenset(feature for feature, is_there in able.items() if is_there)
