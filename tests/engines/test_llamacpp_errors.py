"""Every error of llama.cpp's server and of the HTTP client has one of ours."""

import inspect
import json
from typing import Any

import aiohttp
import pytest

from fastchat.core.errors import ContextLengthExceeded, InvalidRequest, WorkerFailed, WorkerTimeout
from fastchat.engines.llamacpp.errors import mapped_errors, reply_error

TOO_LONG = {"type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 8}


@pytest.mark.parametrize(
    ("status", "error", "ours", "param"),
    [
        (400, TOO_LONG, ContextLengthExceeded, "messages"),
        (500, {"message": "input (9 tokens) is too large … batch size: 8)"}, ContextLengthExceeded, "messages"),
        (501, {"message": "Infill is not supported by this model"}, InvalidRequest, "suffix"),
        (500, {"message": "image input is not supported - hint: …"}, InvalidRequest, "messages"),
        (500, {"message": "Failed to parse messages: Missing tool call type"}, InvalidRequest, "messages"),
        (400, {"message": "Failed to initialize samplers: failed to parse grammar"}, InvalidRequest, "grammar"),
        (400, {"message": "While executing …\nError: Jinja Exception: no"}, InvalidRequest, "messages"),
        (400, {"message": "Cannot have 2 or more assistant messages"}, InvalidRequest, None),
        (401, {"message": "Invalid API Key"}, WorkerFailed, None),
        (500, {"message": "out of memory"}, WorkerFailed, None),
        (503, {"message": "Loading model"}, WorkerFailed, None),
        (200, {"code": 500, "message": "in the middle of a stream"}, WorkerFailed, None),
    ],
)  # fmt: skip
def test_a_reply_becomes_our_error(
    status: int, error: dict[str, Any], ours: type[Exception], param: str | None
) -> None:
    mapped = reply_error(status, {"error": {"code": status, **error}})
    assert type(mapped) is ours
    assert mapped.param == param


@pytest.mark.parametrize("body", [None, "Bad Gateway", {}, {"error": "Unauthorized"}, []])
def test_a_reply_nobody_can_read_is_still_an_error(body: Any) -> None:
    assert isinstance(reply_error(502, body), WorkerFailed)


def test_the_http_client_has_no_error_that_is_not_mapped() -> None:
    classes = [found for _, found in inspect.getmembers(aiohttp, inspect.isclass)]
    errors = [found for found in classes if issubclass(found, Exception) and not issubclass(found, Warning)]
    mapped = (aiohttp.ClientError, OSError, TimeoutError)
    others = {error.__name__ for error in errors if not issubclass(error, mapped)}
    assert others == {"EofStream", "WSMessageTypeError", "WebSocketError"}  # of web sockets and of servers


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (TimeoutError(), WorkerTimeout),
        (aiohttp.SocketTimeoutError(), WorkerTimeout),
        (ConnectionResetError(), WorkerFailed),
        (json.JSONDecodeError("no JSON", "", 0), WorkerFailed),
    ],
)
def test_a_broken_connection_becomes_our_error(error: Exception, ours: type[Exception]) -> None:
    with pytest.raises(ours), mapped_errors():
        raise error
