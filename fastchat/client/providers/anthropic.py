"""Anthropic's Messages API, at Anthropic or on Google's Vertex, through the `anthropic` SDK.

Answers are always streamed from there, whatever the client asked for: the SDK wants that of long ones anyway.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NoReturn

import anthropic
import httpx2

from fastchat.client.providers.anthropic_requests import NAME, to_messages
from fastchat.client.providers.base import Account, FinishReason, Piece, ToolCallPiece, Usage, no_embeddings
from fastchat.client.providers.errors import refusal, timed_out, unreachable
from fastchat.client.providers.machine_login import GOOGLE, check_is_theirs
from fastchat.client.providers.translator import DialectTranslator
from fastchat.protocol.openai import ChatRequest, EmbeddingRequest

FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# An error inside a stream comes with the status of the stream, 200; only its type says what happened.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def direct(account: Account) -> DialectTranslator:
    return DialectTranslator(Anthropic(client_of(account), account), account.idle_s)


def client_of(account: Account) -> anthropic.AsyncAnthropic:
    client = anthropic.AsyncAnthropic(
        api_key=account.api_key or "EMPTY",  # with none the SDK would look for one by itself
        base_url=account.url,
        max_retries=0,
        timeout=_timeout(account),
    )
    client._custom_headers = {}  # those of the environment may be keys for somebody else
    return client


def vertex(account: Account) -> DialectTranslator:
    if account.api_key is None:
        check_is_theirs(account.url, GOOGLE)
    client = anthropic.AsyncAnthropicVertex(
        project_id=account.settings["project"],
        region=account.settings["location"],
        access_token=account.api_key,
        base_url=f"{account.url}/v1",
        max_retries=0,
        timeout=_timeout(account),
    )
    client._custom_headers = {}
    return DialectTranslator(Anthropic(client, account), account.idle_s)


def _timeout(account: Account) -> httpx2.Timeout:
    return httpx2.Timeout(account.idle_s, connect=account.connect_s)


class Anthropic:
    def __init__(self, client: anthropic.AsyncAnthropic | anthropic.AsyncAnthropicVertex, account: Account) -> None:
        self._client = client
        self._key = account.api_key

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        body = to_messages(request)
        # The typed arguments know less than the API takes, so all of it goes as the body.
        stream = await self._client.messages.create(
            model=request.model, max_tokens=body["max_tokens"], messages=[], stream=True, extra_body=body
        )
        async with stream:
            reader = _Reader()
            async for event in stream:
                piece = reader.read(event)
                if piece is not None:
                    yield piece

    async def embed(self, request: EmbeddingRequest) -> NoReturn:
        no_embeddings(NAME)

    def errors(self) -> AbstractContextManager[None]:
        return as_ours(self._key)

    async def close(self) -> None:
        await self._client.close()


@contextmanager
def as_ours(key: str | None) -> Iterator[None]:
    try:
        yield
    except anthropic.APIStatusError as error:
        told = error.body.get("error") if isinstance(error.body, dict) else None
        told = told if isinstance(told, dict) else {}
        status = error.status_code if error.status_code >= 400 else _STATUS.get(str(told.get("type")), 502)
        message = str(told.get("message") or error.message)
        raise refusal(NAME, status, message, error.response.headers, key=key) from error
    except anthropic.APITimeoutError as error:
        raise timed_out(NAME) from error
    except (anthropic.APIConnectionError, httpx2.TransportError) as error:
        raise unreachable(NAME) from error


class _Reader:
    """Events of one answer → pieces."""

    def __init__(self) -> None:
        self._prompt = (0, 0)  # tokens of the prompt, and how many of them were cached
        self._tools = -1  # index of the tool call that is being written
        self._has_arguments = True
        self._thought: dict[str, Any] | None = None

    def read(self, event: Any) -> Piece | None:  # Any: the union of the SDK's event classes, told apart by `type`
        match event.type:
            case "message_start":
                self._prompt = _prompt_tokens(event.message.usage)
                return Piece()
            case "content_block_start":
                return self._start(event.content_block)
            case "content_block_delta":
                return self._delta(event.delta)
            case "content_block_stop":
                return self._stop()
            case "message_delta":
                return self._end(event)
        return None

    def _start(self, block: Any) -> Piece | None:  # Any: as `read`
        match block.type:
            case "tool_use":
                self._tools += 1
                self._has_arguments = bool(block.input)
                arguments = json.dumps(block.input) if block.input else ""
                return Piece(tool_calls=(ToolCallPiece(self._tools, arguments, block.id, block.name),))
            case "thinking":
                self._thought = {"type": "thinking", "thinking": block.thinking, "signature": block.signature}
            case "redacted_thinking":
                self._thought = {"type": "redacted_thinking", "data": block.data}
            case "text" if block.text:
                return Piece(text=block.text)
        return None

    def _delta(self, delta: Any) -> Piece | None:  # Any: as `read`
        match delta.type:
            case "text_delta":
                return Piece(text=delta.text)
            case "input_json_delta":
                self._has_arguments = self._has_arguments or bool(delta.partial_json)
                return Piece(tool_calls=(ToolCallPiece(self._tools, delta.partial_json),))
            case "thinking_delta" if self._thought is not None:
                self._thought["thinking"] += delta.thinking
                return Piece(reasoning=delta.thinking)
            case "signature_delta" if self._thought is not None:
                self._thought["signature"] += delta.signature
        return None

    def _stop(self) -> Piece | None:
        if not self._has_arguments:
            self._has_arguments = True
            return Piece(tool_calls=(ToolCallPiece(self._tools, "{}"),))
        if self._thought is not None:
            thought, self._thought = self._thought, None
            return Piece(extra={"thinking_blocks": [thought]})
        return None

    def _end(self, event: Any) -> Piece | None:  # Any: as `read`
        reason = event.delta.stop_reason
        if not reason:
            return None  # counts so far; those of the end have them too
        details = event.usage.output_tokens_details
        thinking = details.thinking_tokens if details else 0
        usage = Usage(self._prompt[0], event.usage.output_tokens, self._prompt[1], thinking or 0)
        return Piece(finish_reason=FINISH.get(reason, "stop"), usage=usage)


def _prompt_tokens(usage: Any) -> tuple[int, int]:  # Any: as `_Reader.read`
    """OpenAI counts the whole prompt; Anthropic counts what was cached, and what is cached from here on, apart."""
    cached = usage.cache_read_input_tokens or 0
    return usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0), cached
