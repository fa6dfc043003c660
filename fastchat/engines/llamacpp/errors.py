"""What llama.cpp's server complains about → our errors. Nothing else leaves this package."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp

from fastchat.core.errors import (
    ContextLengthExceeded,
    FastChatError,
    InvalidRequest,
    WorkerFailed,
    WorkerTimeout,
)

# What the server answers with status 500 or 501 although the caller is to blame: words of the message → our `param`.
_CALLERS_FAULT = {
    "Infill is not supported": "suffix",
    "Failed to parse messages": "messages",
    "input is not supported": "messages",  # an image or a sound, and no projector is loaded
    "failed to decode image": "messages",
    "Failed to load image": "messages",
}


def reply_error(status: int, body: Any) -> FastChatError:
    """The error of a reply that is not 200, or of an `error` inside a stream.

    {"error": {"code": 400, "message": "request (5031 tokens) exceeds …", "type": "exceed_context_size_error",
               "n_prompt_tokens": 5031, "n_ctx": 4096}}
    """
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return WorkerFailed(f"llama.cpp answered with status {status}.")
    message = str(error.get("message", ""))
    if error.get("type") == "exceed_context_size_error":
        return ContextLengthExceeded(error.get("n_prompt_tokens", 0), error.get("n_ctx", 0))
    if too_large := re.search(r"input \((\d+) tokens\) is too large.*size: (\d+)", message):
        return ContextLengthExceeded(int(too_large[1]), int(too_large[2]))
    for words, param in _CALLERS_FAULT.items():
        if words in message:
            return InvalidRequest(f"llama.cpp refuses this: {message.strip()}", param=param)
    if int(error.get("code", status)) == 400:
        return _invalid(message)
    return WorkerFailed(f"llama.cpp failed: {message or status}")


def _invalid(message: str) -> InvalidRequest:
    if raised := re.search(r"Jinja Exception: (.*)", message):
        return InvalidRequest(f"The model's chat template refuses this conversation: {raised[1]}", param="messages")
    if "grammar" in message or "initialize samplers" in message:
        return InvalidRequest(f"The grammar cannot be read: {message}", param="grammar")
    return InvalidRequest(message)


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Errors of the HTTP client around a call to the server."""
    try:
        yield
    except TimeoutError:  # before ClientError: aiohttp's timeouts are both
        raise WorkerTimeout("llama.cpp did not answer in time.") from None
    except (aiohttp.ClientError, OSError, json.JSONDecodeError) as error:
        raise WorkerFailed(f"The connection to llama.cpp broke ({type(error).__name__}).") from error
