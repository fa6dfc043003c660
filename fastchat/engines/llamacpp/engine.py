"""The engine: one llama.cpp server for answers, and a second one for embeddings once somebody wants them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import cast

from fastchat.core.errors import InvalidRequest, WorkerFailed
from fastchat.engines.base import ChatPrompt, Delta, Embeddings, EngineInfo, GenerationRequest
from fastchat.engines.llamacpp import grammars, requests, settings
from fastchat.engines.llamacpp.assembly import Assembly
from fastchat.engines.llamacpp.gguf import inspect
from fastchat.engines.llamacpp.model import Model, survey
from fastchat.engines.llamacpp.requests import Form
from fastchat.engines.llamacpp.server import LlamaServer
from fastchat.engines.registry import EngineOptions

_REMEMBERED_GRAMMARS = 256


async def load(options: EngineOptions) -> "LlamaEngine":
    """
    Raises:
        SetupError: a file is missing or damaged, or the options do not fit the model.
    """
    args = settings.parse_args(options.engine_args)
    file = inspect(options.model_path)
    library = settings.import_library()
    server = await LlamaServer.start(library, settings.generation_parameters(library, options, args, file))
    try:
        has_template = file.has_chat_template or options.chat_template is not None
        model = await survey(server, has_template=has_template, adapters=tuple(options.adapters))
    except BaseException:
        await server.close()
        raise
    embedding = settings.embedding_parameters(library, options, args, file)
    return LlamaEngine(server, model, partial(LlamaServer.start, library, embedding))


class LlamaEngine:
    def __init__(self, server: LlamaServer, model: Model, start_embedder: Callable[[], Awaitable[LlamaServer]]) -> None:
        self._server: LlamaServer | None = server
        self._model = model
        self._start_embedder = start_embedder
        self._embedder: LlamaServer | None = None
        self._embedder_lock = asyncio.Lock()  # two first calls must not start two servers
        # The server would queue as well, but with a thread for each that waits, and deaf to those that leave.
        self._free = asyncio.Semaphore(model.slots)
        self._sound_grammars: dict[str, None] = {}

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            engine="llamacpp",
            context_length=self._model.context_length,
            slots=self._model.slots,
            features=self._model.features,
            adapters=tuple(self._model.adapters),
            embedding_size=self._model.embedding_size,
        )

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        call = requests.build(request, self._model)
        assembly = Assembly(request, thinks=call.thinks, reads_calls=call.reads_calls)
        reason = None
        answer: list[str] = []
        async with self._free:
            await self._check_form(call.form)
            async with self._running().stream(call.path, call.body) as events:
                async for event in events:
                    piece = call.read(event, request.top_logprobs or 0)
                    if (delta := assembly.add(piece)) is not None:
                        answer.append(delta.text)
                        yield delta
                    reason = piece.finish_reason
                    if assembly.is_stopped or reason is not None:
                        break
                else:
                    raise WorkerFailed("llama.cpp ended the answer early.")
        last = assembly.finish(reason)
        is_cut = assembly.is_stopped or last.finish_reason == "length"
        _check_answer("".join((*answer, last.text)), call.form, is_cut=is_cut)
        yield last

    async def embed(self, inputs: Sequence[str | Sequence[int]]) -> Embeddings:
        for tokens in inputs:
            if not isinstance(tokens, str):
                self._model.check_tokens(tokens, param="input")
        reply = await (await self._embedding_server()).post("/v1/embeddings", {"input": list(inputs)})
        rows = [row["embedding"] for row in sorted(reply["data"], key=lambda row: cast(int, row["index"]))]
        return Embeddings(rows, reply["usage"]["prompt_tokens"])

    async def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        reply = await self._running().post("/tokenize", {"content": text, "add_special": add_special})
        return cast(list[int], reply["tokens"])

    async def detokenize(self, tokens: Sequence[int]) -> str:
        self._model.check_tokens(tokens, param="tokens")
        reply = await self._running().post("/detokenize", {"tokens": list(tokens)})
        return cast(str, reply["content"])

    async def render(self, prompt: ChatPrompt) -> str:
        body = requests.build(GenerationRequest(prompt), self._model).body
        return cast(str, (await self._running().post("/apply-template", body))["prompt"])

    async def is_healthy(self) -> bool:
        return self._server is not None and await self._server.is_healthy()

    async def close(self) -> None:
        for server in (self._server, self._embedder):
            if server is not None:
                await server.close()
        self._server = self._embedder = None

    async def _embedding_server(self) -> LlamaServer:
        async with self._embedder_lock:
            self._running()
            if self._embedder is None:
                self._embedder = await self._start_embedder()
            return self._embedder

    def _running(self) -> LlamaServer:
        if self._server is None:
            raise WorkerFailed("The engine is closed.")
        return self._server

    async def _check_form(self, form: Form | None) -> None:
        """
        Raises:
            InvalidRequest: llama.cpp would drop the grammar and answer without one; see `grammars.probe`.
        """
        if form is None or form.param is None or form.grammar in self._sound_grammars:
            return
        body = {"prompt": "Hello", "n_predict": 1, "temperature": 0, "cache_prompt": False}
        reply = await self._running().post("/completion", body | {"grammar": grammars.probe(form.grammar)})
        if not reply["content"] or not grammars.PROBE_MARK.startswith(reply["content"]):
            raise InvalidRequest(
                "The JSON schema cannot be enforced: it uses a keyword, a reference or a pattern that the grammar of "
                "this engine does not know (among them `not`, `if`, `contains`, `uniqueItems`, `dependentSchemas`).",
                param=form.param,
            )
        self._sound_grammars[form.grammar] = None
        if len(self._sound_grammars) > _REMEMBERED_GRAMMARS:
            del self._sound_grammars[next(iter(self._sound_grammars))]


def _check_answer(text: str, form: Form | None, *, is_cut: bool) -> None:
    """
    Raises:
        InvalidRequest: llguidance gave the grammar up in the middle, and llama.cpp went on without.
    """
    if form is not None and form.param == "response_format" and not grammars.is_json(text, is_cut=is_cut):
        raise InvalidRequest(
            "The JSON schema could not be enforced to the end of the answer: it is too intricate for the grammar of "
            "this engine.",
            param=form.param,
        )
