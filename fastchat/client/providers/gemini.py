"""Google's Gemini API, at AI Studio or on Vertex, through the `google-genai` SDK."""

import json
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
from google import genai
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from fastchat.client.images import ImageLoader
from fastchat.client.providers.base import Account, Embeddings, FinishReason, Piece, ToolCallPiece, Usage
from fastchat.client.providers.errors import refusal, timed_out, unreachable
from fastchat.client.providers.gemini_requests import NAME, to_contents
from fastchat.client.providers.machine_login import GOOGLE, check_is_theirs
from fastchat.client.providers.translator import DialectTranslator
from fastchat.core.errors import InvalidRequest
from fastchat.protocol.openai import ChatRequest, EmbeddingRequest

CALL_ID = "x-request-id"  # names the response of a call among those of others
_FINISH: Mapping[str, FinishReason] = {"STOP": "stop", "MAX_TOKENS": "length", "OTHER": "stop", "LANGUAGE": "stop"}
_FILTERED = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR")


def direct(account: Account) -> DialectTranslator:
    return _translator(account, api_key=account.api_key or "EMPTY", vertexai=False)


def no_stream(account: Account) -> DialectTranslator:
    return _translator(account, streams=False, api_key=account.api_key or "EMPTY", vertexai=False)


def vertex(account: Account) -> DialectTranslator:
    """With an access token as the key, else with the machine's own login."""
    credentials = None
    if account.api_key is None:
        check_is_theirs(account.url, GOOGLE)
    else:
        credentials = Credentials(token=account.api_key)  # type: ignore[no-untyped-call]
    settings = account.settings
    return _translator(
        account, credentials=credentials, vertexai=True, project=settings["project"], location=settings["location"]
    )


def _translator(account: Account, *, streams: bool = True, **login: Any) -> DialectTranslator:  # Any: keywords
    streams_open = OpenStreams()
    http = httpx2.AsyncClient(
        timeout=httpx2.Timeout(account.idle_s, connect=account.connect_s),
        event_hooks={"response": [streams_open.remember]},
    )
    options = types.HttpOptions(
        base_url=account.url,
        timeout=round(account.idle_s * 1000),
        retry_options=types.HttpRetryOptions(attempts=1),
        httpx_async_client=http,  # with aiohttp, its other way, it waits and tries again when nobody answers
    )
    client = genai.Client(http_options=options, **login)
    gemini = Gemini(client, http, streams_open, account.api_key, streams=streams)
    return DialectTranslator(gemini, account.idle_s, ImageLoader())


class OpenStreams:
    """The SDK leaves it to the garbage collector to close a stream that is not read to its end; we cannot wait."""

    def __init__(self) -> None:
        self._open: dict[str, httpx2.Response] = {}

    async def remember(self, response: httpx2.Response) -> None:
        if call_id := response.request.headers.get(CALL_ID):
            self._open[call_id] = response

    async def close(self, call_id: str) -> None:
        if response := self._open.pop(call_id, None):
            await response.aclose()


class Gemini:
    def __init__(
        self,
        client: genai.Client,
        http: httpx2.AsyncClient,
        streams_open: OpenStreams,
        key: str | None,
        *,
        streams: bool,
    ) -> None:
        self._client = client
        self._http = http
        self._open = streams_open
        self._key = key
        self._streams = streams

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        contents, config = to_contents(request)
        reader = _Reader()
        models = self._client.aio.models
        if not self._streams:
            yield reader.read(await models.generate_content(model=request.model, contents=contents, config=config))
            return
        call_id = secrets.token_hex(8)
        config.http_options = types.HttpOptions(headers={CALL_ID: call_id})
        try:
            stream = await models.generate_content_stream(model=request.model, contents=contents, config=config)
            async for response in stream:
                yield reader.read(response)
        finally:
            await self._open.close(call_id)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        texts = [item for item in request.inputs if isinstance(item, str)]
        if len(texts) < len(request.inputs):
            raise InvalidRequest(f"{NAME} embeds texts, not token ids.", param="input")
        config = types.EmbedContentConfig(output_dimensionality=request.dimensions)
        contents = [types.Content(parts=[types.Part(text=text)]) for text in texts]
        answer = await self._client.aio.models.embed_content(model=request.model, contents=contents, config=config)
        rows = [row.values or [] for row in answer.embeddings or ()]
        counts = [row.statistics.token_count or 0 for row in answer.embeddings or () if row.statistics]
        counted = answer.usage_metadata.prompt_token_count if answer.usage_metadata else None
        return Embeddings(rows, round(counted or sum(counts)))

    def errors(self) -> AbstractContextManager[None]:
        return _as_ours(self._key)

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()
        await self._http.aclose()


@contextmanager
def _as_ours(key: str | None) -> Iterator[None]:
    try:
        yield
    except errors.APIError as error:
        headers = getattr(error.response, "headers", None)
        message = error.message or ""
        # A wrong key is a 400 at Google's.
        status = 401 if "API key not valid" in message or "API_KEY_INVALID" in str(error.details) else error.code
        raise refusal(NAME, status, message, headers, key=key) from error
    except GoogleAuthError as error:
        raise refusal(NAME, 401, "") from error
    except httpx2.TimeoutException as error:
        raise timed_out(NAME) from error
    except httpx2.TransportError as error:
        raise unreachable(NAME) from error


class _Reader:
    """Responses, of which a stream has many, → pieces."""

    def __init__(self) -> None:
        self._calls = 0

    def read(self, response: types.GenerateContentResponse) -> Piece:
        usage = _usage(response.usage_metadata)
        if response.prompt_feedback and response.prompt_feedback.block_reason:
            return Piece(finish_reason="content_filter", usage=usage)
        if not response.candidates:
            return Piece(usage=usage)
        candidate = response.candidates[0]
        parts = candidate.content.parts or [] if candidate.content else []
        finish = candidate.finish_reason.value if candidate.finish_reason else None
        return Piece(
            text="".join(part.text for part in parts if part.text and not part.thought),
            reasoning="".join(part.text for part in parts if part.text and part.thought),
            tool_calls=tuple(self._call(part) for part in parts if part.function_call),
            logprobs=_logprobs(candidate.logprobs_result),
            finish_reason=self._finish(finish) if finish else None,
            usage=usage,
        )

    def _call(self, part: types.Part) -> ToolCallPiece:
        call = part.function_call
        assert call is not None
        signature = part.model_dump(mode="json").get("thought_signature") if part.thought_signature else None
        extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
        index, self._calls = self._calls, self._calls + 1
        arguments = json.dumps(call.args or {}, ensure_ascii=False)
        return ToolCallPiece(index, arguments, call.id or f"call_{index}_{call.name}", call.name or "", extra)

    def _finish(self, reason: str) -> FinishReason:
        if reason in _FILTERED:
            return "content_filter"
        return "tool_calls" if self._calls else _FINISH.get(reason, "stop")


def _usage(counted: types.GenerateContentResponseUsageMetadata | None) -> Usage | None:
    """OpenAI counts thoughts as part of the completion, Google apart from it."""
    if counted is None:
        return None
    thoughts = counted.thoughts_token_count or 0
    prompt = (counted.prompt_token_count or 0) + (counted.tool_use_prompt_token_count or 0)
    cached = counted.cached_content_token_count or 0
    return Usage(prompt, (counted.candidates_token_count or 0) + thoughts, cached, thoughts)


def _entry(token: types.LogprobsResultCandidate) -> dict[str, Any]:
    text = token.token or ""
    return {"token": text, "logprob": token.log_probability or 0.0, "bytes": list(text.encode())}


def _logprobs(result: types.LogprobsResult | None) -> tuple[Mapping[str, Any], ...]:
    if result is None:
        return ()
    top = [step.candidates or [] for step in result.top_candidates or ()]
    chosen = result.chosen_candidates or []
    return tuple(
        _entry(token) | {"top_logprobs": [_entry(other) for other in (top[number] if number < len(top) else ())]}
        for number, token in enumerate(chosen)
    )
