"""Pictures by address, for providers that fetch none themselves."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, nullcontext

import pytest
from aiohttp import web

from fastchat.client.images import ImageLimits, ImageLoader
from fastchat.client.providers.base import Embeddings, Piece, Usage
from fastchat.client.providers.translator import CHAT, DialectTranslator
from fastchat.core.errors import InvalidRequest
from fastchat.protocol.openai import ChatRequest, EmbeddingRequest
from tests.client.test_images import PNG, PNG_URL


class Recorder:
    """A provider that notes what it is sent."""

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        self.requests.append(request)
        yield Piece(text="A picture.", finish_reason="stop", usage=Usage(1, 1))

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        raise NotImplementedError

    def errors(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def close(self) -> None: ...

    @property
    def urls(self) -> list[str]:
        return [
            part.model_extra["image_url"]["url"]
            for request in self.requests
            for message in request.messages
            if isinstance(message.content, list)
            for part in message.content
            if part.type == "image_url" and part.model_extra
        ]


def body(*urls: str, stream: bool) -> bytes:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [{"type": "text", "text": "What is this?"}, *parts]
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], "stream": stream}).encode()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_picture_is_fetched_before_it_is_sent_on(stream: bool) -> None:
    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PNG)

    app = web.Application()
    app.router.add_get("/cat.png", picture)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider = Recorder()
    translator = DialectTranslator(provider, 5, ImageLoader(ImageLimits(allow_private=True)))
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/cat.png"
        reply = translator.answer(CHAT, body(url, PNG_URL, stream=stream))
        text = await reply.read()
    finally:
        await runner.cleanup()
    assert b"A picture." in text
    assert provider.urls == [PNG_URL, f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]


async def test_no_picture_is_fetched_from_inside_the_network() -> None:
    provider = Recorder()
    translator = DialectTranslator(provider, 5, ImageLoader())
    with pytest.raises(InvalidRequest, match="not public"):
        await anext(translator._events(ChatRequest.model_validate_json(body("http://127.0.0.1/a", stream=True))))
    assert provider.requests == []
