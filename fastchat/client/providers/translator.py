"""What every provider's translator does alike: read the request, have the answer put into OpenAI's form."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext
from typing import Protocol

from pydantic import ValidationError

from fastchat.client.images import ImageLoader
from fastchat.client.providers.answers import chat_answer, chat_events, embeddings_answer
from fastchat.client.providers.base import Dialect
from fastchat.client.providers.reply import EVENTS, JSON, ProviderReply
from fastchat.core.errors import InvalidRequest, RequestError
from fastchat.protocol.openai import ChatRequest, ContentPart, EmbeddingRequest, invalid_request

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"


class Translator(Protocol):
    """One account at work."""

    def answer(self, path: str, body: bytes) -> ProviderReply:
        """
        Raises:
            InvalidRequest: this provider has nothing at that path, or the body is wrong.
        """
        ...

    async def close(self) -> None: ...


class DialectTranslator:
    """Answers in pieces, through a dialect. `images` fetches pictures for a provider that fetches none itself."""

    def __init__(self, dialect: Dialect, idle_s: float, images: ImageLoader | None = None) -> None:
        self._dialect = dialect
        self._idle_s = idle_s
        self._images = images

    def answer(self, path: str, body: bytes) -> ProviderReply:
        try:
            if path == CHAT:
                request = ChatRequest.model_validate_json(body)
                if request.stream:
                    return self._reply(EVENTS, self._events(request))
                return self._reply(JSON, self._chat(request))
            if path == EMBEDDINGS:
                return self._reply(JSON, self._embeddings(EmbeddingRequest.model_validate_json(body)))
        except ValidationError as error:
            raise invalid_request(error) from None
        raise no_such_path(path)

    async def close(self) -> None:
        await self._dialect.close()

    def _reply(self, headers: Mapping[str, str], source: AsyncGenerator[bytes, None]) -> ProviderReply:
        return ProviderReply(headers, source, self._dialect.errors, self._idle_s)

    async def _events(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        async with aclosing(chat_events(self._dialect, await self._with_pictures(request))) as events:
            async for event in events:
                yield event

    async def _chat(self, request: ChatRequest) -> AsyncGenerator[bytes, None]:
        yield await chat_answer(self._dialect, await self._with_pictures(request))

    async def _with_pictures(self, request: ChatRequest) -> ChatRequest:
        if self._images is None:
            return request
        messages = [
            message.model_copy(update={"content": [await self._fetched(part) for part in message.content]})
            if isinstance(message.content, list)
            else message
            for message in request.messages
        ]
        return request.model_copy(update={"messages": messages})

    async def _fetched(self, part: ContentPart) -> ContentPart:
        image = (part.model_extra or {}).get("image_url") if part.type == "image_url" else None
        url = image.get("url") if isinstance(image, dict) else image
        if self._images is None or not isinstance(url, str) or not url.startswith(("http://", "https://")):
            return part
        return part.model_copy(update={"image_url": {"url": (await self._images.load(url)).data_url}})

    async def _embeddings(self, request: EmbeddingRequest) -> AsyncGenerator[bytes, None]:
        yield embeddings_answer(request, await self._dialect.embed(request))


def no_such_path(path: str) -> InvalidRequest:
    return InvalidRequest(f"The provider of this model has nothing like {path}. Use {CHAT}.", param="model")


def refused(error: RequestError) -> ProviderReply:
    """The reply to a request that never leaves."""
    return ProviderReply(JSON, _refuse(error), nullcontext, idle_s=1.0)


async def _refuse(error: RequestError | None) -> AsyncGenerator[bytes, None]:
    if error is not None:
        raise error
    yield b""
