"""The worker's HTTP face: OpenAI's routes over the engines it holds."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from prometheus_client import generate_latest
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from fastchat.access.keys import KeyGuard, KeyRing
from fastchat.client.images import ImageLoader, image_addresses
from fastchat.core.errors import FastChatError, InvalidRequest
from fastchat.core.http import Edge, EventStream, Raw, read_body, while_connected
from fastchat.engines.base import ChatPrompt, Delta, GenerationRequest, Message, Usage
from fastchat.protocol.openai import (
    ChatMessage,
    ChatRequest,
    CompletionRequest,
    DetokenizeRequest,
    EmbeddingRequest,
    SamplingFields,
    TokenizeRequest,
    error_body,
    error_reply,
    invalid_request,
    model_card,
    model_list,
    sse,
)
from fastchat.worker.admission import Ticket
from fastchat.worker.chat import chat_answer, chat_events
from fastchat.worker.choices import Piece, merge
from fastchat.worker.completions import completion_answer, completion_events
from fastchat.worker.embeddings import embedding_list
from fastchat.worker.metrics import WorkerMetrics
from fastchat.worker.models import HostedModel, HostedModels
from fastchat.worker.requests import chat_generation, chat_messages, completion_generation

RequestT = TypeVar("RequestT", bound=BaseModel)
Answers: TypeAlias = list[AsyncGenerator[Delta, None]]
Whole: TypeAlias = Callable[[Answers], Awaitable[dict[str, Any]]]
Events: TypeAlias = Callable[[AsyncIterator[Piece]], AsyncGenerator[bytes, None]]

MAX_ANSWERS = 1024  # choices times prompts of one request
PROTECTED = ("/v1", "/tokenize", "/detokenize")


class WorkerApp:
    def __init__(
        self, models: HostedModels, ring: KeyRing, *, body_limit: int, images: ImageLoader | None = None
    ) -> None:
        self._models = models
        self._images = images or ImageLoader()
        self._ring = ring
        self._body_limit = body_limit
        self._metrics = WorkerMetrics(models)
        self._created = int(time.time())

    def asgi(self) -> ASGIApp:
        routes = [
            Route("/v1/chat/completions", Raw(self.chat), methods=["POST"]),
            Route("/v1/completions", Raw(self.complete), methods=["POST"]),
            Route("/v1/embeddings", Raw(self.embed), methods=["POST"]),
            Route("/v1/models", self.list_models, methods=["GET"]),
            Route("/v1/models/{model:path}", self.show_model, methods=["GET"]),
            Route("/tokenize", Raw(self.tokenize), methods=["POST"]),
            Route("/detokenize", Raw(self.detokenize), methods=["POST"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.show_metrics, methods=["GET"]),
        ]
        return Edge(KeyGuard(Router(routes), self._ring, PROTECTED), error_reply)

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await self._read(ChatRequest, scope, receive)
        model = self._models.find(request.model)
        messages = await self._messages(request.messages, model)
        generation = chat_generation(request, messages, model)
        await self._generate(
            (scope, receive, send),
            request,
            model,
            _candidates(generation, request.n or 1),
            lambda answers: chat_answer(request, answers),
            lambda pieces: chat_events(request, pieces),
        )

    async def complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await self._read(CompletionRequest, scope, receive)
        model = self._models.find(request.model)
        if request.echo and request.logprobs is not None:
            raise InvalidRequest("echo together with logprobs: no engine here scores the prompt.", param="logprobs")
        per_prompt = request.best_of or request.n or 1
        if len(request.prompts) * per_prompt > MAX_ANSWERS:
            raise InvalidRequest(f"prompts times n is more than {MAX_ANSWERS}.", param="n")
        is_ranked = per_prompt > (request.n or 1)
        wanted = request.model_copy(update={"logprobs": request.logprobs or 0}) if is_ranked else request
        generations = [
            candidate
            for prompt in request.prompts
            for candidate in _candidates(completion_generation(wanted, model, prompt), per_prompt)
        ]
        echoes = [await _echo(model, prompt) if request.echo else "" for prompt in request.prompts]
        await self._generate(
            (scope, receive, send),
            request,
            model,
            generations,
            lambda answers: completion_answer(request, answers, echoes),
            lambda pieces: completion_events(request, pieces, echoes),
        )

    async def _generate(
        self,
        connection: tuple[Scope, Receive, Send],
        request: SamplingFields,
        model: HostedModel,
        generations: Sequence[GenerationRequest],
        whole: Whole,
        events: Events,
    ) -> None:
        scope, receive, send = connection

        def begin(ticket: Ticket) -> Answers:
            return [self._metrics.observed(request.model, _answer(model, one, ticket)) for one in generations]

        async def answer_whole() -> None:
            async with model.admission.admit() as ticket:
                reply = await whole(begin(ticket))
            await JSONResponse(reply)(scope, receive, send)

        async def answer_as_stream() -> None:
            async with EventStream(send) as stream:
                try:
                    async with model.admission.admit() as ticket:
                        await _write(stream, begin(ticket), events)
                except FastChatError as error:
                    if not stream.has_begun:
                        raise
                    self._count(request.model, error)
                    await stream.write(sse(error_body(error)))
                await stream.end()

        try:
            await while_connected(receive, answer_as_stream() if request.stream else answer_whole())
        except FastChatError as error:
            self._count(request.model, error)
            raise

    async def embed(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await self._read(EmbeddingRequest, scope, receive)
        model = self._models.find(request.model)
        model.require("embeddings", "embeddings")

        async def work() -> None:
            async with model.admission.admit() as ticket, ticket.slot():
                embeddings = await model.engine.embed(request.inputs)
            await JSONResponse(embedding_list(request, embeddings))(scope, receive, send)

        await while_connected(receive, work())

    async def tokenize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """vLLM's form: ids and their number for a prompt, or for messages as the model gets them."""
        request = await self._read(TokenizeRequest, scope, receive)
        model = self._models.find(request.model)
        if request.messages:
            text = await model.engine.render(ChatPrompt(await self._messages(request.messages, model)))
            tokens = await model.engine.tokenize(text, add_special=False)
        else:
            tokens = await model.engine.tokenize(request.prompt or "", add_special=request.add_special_tokens)
        reply = {"tokens": tokens, "count": len(tokens), "max_model_len": model.engine.info.context_length}
        await JSONResponse(reply)(scope, receive, send)

    async def detokenize(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await self._read(DetokenizeRequest, scope, receive)
        text = await self._models.find(request.model).engine.detokenize(request.tokens)
        await JSONResponse({"prompt": text})(scope, receive, send)

    async def _messages(self, messages: Sequence[ChatMessage], model: HostedModel) -> list[Message]:
        """As the engine gets them, images fetched."""
        cleaned = chat_messages(messages)
        if not any(map(image_addresses, cleaned)):
            return cleaned
        model.require("vision", "images")
        return await self._images.inline(cleaned)

    async def list_models(self, _: Request) -> Response:
        return JSONResponse(model_list([self._card(name) for name in self._models.named]))

    async def show_model(self, request: Request) -> Response:
        name = request.path_params["model"]
        self._models.find(name)
        return JSONResponse(self._card(name))

    def _card(self, name: str) -> dict[str, Any]:
        info = self._models.find(name).engine.info
        return model_card(name, created=self._created, context_length=info.context_length)

    async def health(self, _: Request) -> Response:
        healthy = [await engine.is_healthy() for engine in self._models.engines]
        return JSONResponse({"status": "ok" if all(healthy) else "failed"}, 200 if all(healthy) else 503)

    async def show_metrics(self, _: Request) -> Response:
        return Response(generate_latest(self._metrics.registry), media_type="text/plain; version=0.0.4")

    async def _read(self, kind: type[RequestT], scope: Scope, receive: Receive) -> RequestT:
        body = await read_body(scope, receive, self._body_limit)
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            raise invalid_request(error) from None

    def _count(self, model: str, error: FastChatError) -> None:
        self._metrics.errors(model, error.code or "").inc()


async def _write(stream: EventStream, answers: Answers, events: Events) -> None:
    async with aclosing(merge(answers)) as pieces, aclosing(events(pieces)) as written:
        async for event in written:
            await stream.write(event)


def _candidates(generation: GenerationRequest, count: int) -> list[GenerationRequest]:
    """The same request `count` times, each with a seed of its own if one was given."""
    seed = generation.sampling.seed
    if seed is None or count == 1:
        return [generation] * count
    return [replace(generation, sampling=replace(generation.sampling, seed=(seed + i) % 2**63)) for i in range(count)]


async def _answer(model: HostedModel, generation: GenerationRequest, ticket: Ticket) -> AsyncGenerator[Delta, None]:
    """The engine's deltas, once there is a slot.

    Asked for no tokens, the engine is not troubled: `max_tokens: 0` with `echo` returns the prompt.
    """
    if generation.sampling.max_tokens != 0:
        async with ticket.slot(), aclosing(model.engine.generate(generation)) as deltas:
            async for delta in deltas:
                yield delta
        return
    text = generation.prompt.text if not isinstance(generation.prompt, ChatPrompt) else ""
    tokens = await model.engine.tokenize(text, add_special=True) if isinstance(text, str) else text
    yield Delta(finish_reason="length", usage=Usage(len(tokens), 0))


async def _echo(model: HostedModel, prompt: str | list[int]) -> str:
    return prompt if isinstance(prompt, str) else await model.engine.detokenize(prompt)
