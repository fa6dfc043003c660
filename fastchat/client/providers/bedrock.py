"""Amazon Bedrock's Converse API through boto3, which blocks: its streams are read in threads."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager, suppress
from typing import Any, NoReturn

import botocore.session
import urllib3.exceptions
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoAuthTokenError,
    NoCredentialsError,
    ReadTimeoutError,
)
from botocore.tokens import FrozenAuthToken

from fastchat.client.images import ImageLoader
from fastchat.client.providers.base import Account, FinishReason, Piece, ToolCallPiece, Usage, no_embeddings
from fastchat.client.providers.bedrock_requests import NAME, to_converse
from fastchat.client.providers.errors import refusal, timed_out, unreachable
from fastchat.client.providers.machine_login import AMAZON, check_is_theirs
from fastchat.client.providers.threads import Threads
from fastchat.client.providers.translator import DialectTranslator
from fastchat.protocol.openai import ChatRequest, EmbeddingRequest

MOST_STREAMS = 64
_FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# An error inside a stream comes without a status.
_STATUS = {
    "ThrottlingException": 429,
    "ServiceQuotaExceededException": 429,
    "ServiceUnavailableException": 503,
    "ModelNotReadyException": 503,
    "ModelTimeoutException": 504,
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 401,
    "ResourceNotFoundException": 404,
    "InternalServerException": 500,
    "ModelStreamErrorException": 502,
}


class _Token:
    """botocore asks its session's provider of tokens; this one has the key of the entry."""

    def __init__(self, key: str) -> None:
        self._token = FrozenAuthToken(key)

    def load_token(self, **_: object) -> FrozenAuthToken:
        return self._token


def connect(account: Account) -> DialectTranslator:
    """The key is an access key and its secret with a colon between, or a Bedrock API key; else the machine's login."""
    session = botocore.session.Session()
    login: dict[str, Any] = {}
    signature = None
    if account.api_key and ":" in account.api_key:
        access_key, _, secret = account.api_key.partition(":")
        login = {"aws_access_key_id": access_key, "aws_secret_access_key": secret}
        signature = "v4"
    elif account.api_key:
        session.register_component("token_provider", _Token(account.api_key))
        signature = "bearer"
    else:
        check_is_theirs(account.url, AMAZON)
    config = Config(
        signature_version=signature,
        connect_timeout=account.connect_s,
        read_timeout=account.idle_s,
        retries={"total_max_attempts": 1},
        max_pool_connections=MOST_STREAMS,
    )
    client = session.create_client(
        "bedrock-runtime", region_name=account.settings["region"], endpoint_url=account.url, config=config, **login
    )
    return DialectTranslator(Bedrock(client, account.api_key), account.idle_s, ImageLoader())


class _Events:
    """The events of one answer, as `threads` reads them."""

    def __init__(self, stream: Any) -> None:  # Any: botocore is untyped
        self._stream = stream

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._stream)

    def break_off(self) -> None:
        # Closing alone would wait for the thread that reads, and that one for the provider.
        with suppress(ValueError, RuntimeError, OSError):  # it is over already
            self._stream._raw_stream.shutdown()

    def close(self) -> None:
        self._stream.close()


class Bedrock:
    def __init__(self, client: Any, key: str | None) -> None:  # Any: botocore is untyped
        self._client = client
        self._key = key
        self._threads: Threads[dict[str, Any]] = Threads("bedrock", MOST_STREAMS)

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Piece, None]:
        body = to_converse(request)
        reader = _Reader()
        events = self._threads.read(lambda: _Events(self._client.converse_stream(**body)["stream"]))
        async with aclosing(events):
            async for event in events:
                piece = reader.read(event)
                if piece is not None:
                    yield piece

    async def embed(self, request: EmbeddingRequest) -> NoReturn:
        no_embeddings(NAME)

    def errors(self) -> AbstractContextManager[None]:
        return _as_ours(self._key)

    async def close(self) -> None:
        self._threads.close()
        self._client.close()


@contextmanager
def _as_ours(key: str | None) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        told, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code = str(told.get("Code", ""))
        status = _STATUS.get(code[:1].upper() + code[1:]) or meta.get("HTTPStatusCode") or 502
        raise refusal(NAME, status, told.get("Message", ""), meta.get("HTTPHeaders"), key=key) from error
    except (NoCredentialsError, NoAuthTokenError) as error:
        raise refusal(NAME, 401, "") from error
    except (ReadTimeoutError, ConnectTimeoutError, urllib3.exceptions.ReadTimeoutError) as error:
        raise timed_out(NAME) from error
    except EndpointConnectionError as error:
        raise unreachable(NAME) from error
    except (BotoCoreError, urllib3.exceptions.HTTPError) as error:
        raise refusal(NAME, 502, type(error).__name__) from error


class _Reader:
    """Events of one answer → pieces."""

    def __init__(self) -> None:
        self._tools = -1  # index of the tool call that is being written
        self._has_arguments = True
        self._thought = {"type": "thinking", "thinking": "", "signature": ""}

    def read(self, event: dict[str, Any]) -> Piece | None:
        kind, content = next(iter(event.items()))
        match kind:
            case "messageStart":
                return Piece()
            case "contentBlockStart" if "toolUse" in content.get("start", {}):
                call = content["start"]["toolUse"]
                self._tools += 1
                self._has_arguments = False
                return Piece(tool_calls=(ToolCallPiece(self._tools, "", call["toolUseId"], call["name"]),))
            case "contentBlockDelta":
                return self._delta(content["delta"])
            case "contentBlockStop":
                return self._stop()
            case "messageStop":
                return Piece(finish_reason=_FINISH.get(content["stopReason"], "stop"))
            case "metadata":
                return Piece(usage=_usage(content["usage"]))
        return None

    def _delta(self, delta: dict[str, Any]) -> Piece | None:
        if "text" in delta:
            return Piece(text=delta["text"])
        if "toolUse" in delta:
            self._has_arguments = self._has_arguments or bool(delta["toolUse"]["input"])
            return Piece(tool_calls=(ToolCallPiece(self._tools, delta["toolUse"]["input"]),))
        thought = delta.get("reasoningContent", {})
        self._thought["signature"] += thought.get("signature", "")
        if "text" in thought:
            self._thought["thinking"] += thought["text"]
            return Piece(reasoning=thought["text"])
        return None

    def _stop(self) -> Piece | None:
        if not self._has_arguments:
            self._has_arguments = True
            return Piece(tool_calls=(ToolCallPiece(self._tools, "{}"),))
        if self._thought["signature"]:
            thought, self._thought = self._thought, {"type": "thinking", "thinking": "", "signature": ""}
            return Piece(extra={"thinking_blocks": [thought]})
        return None


def _usage(counted: Mapping[str, int]) -> Usage:
    """OpenAI counts the whole prompt; here what was cached, and what is cached from here on, is counted apart."""
    cached = counted.get("cacheReadInputTokens", 0)
    prompt = counted["inputTokens"] + cached + counted.get("cacheWriteInputTokens", 0)
    return Usage(prompt, counted["outputTokens"], cached)
