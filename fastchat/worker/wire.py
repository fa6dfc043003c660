"""Pieces of OpenAI's answers, and the fast way to write a chunk."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastchat.engines.base import TokenLogprob, Usage

to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Head:
    """The fields that all chunks of an answer share. The same id and time stand in every one."""

    def __init__(self, prefix: str, kind: str, model: str) -> None:
        self.fields = {
            "id": f"{prefix}-{secrets.token_hex(12)}",
            "object": kind,
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": None,
        }
        self._start = f"data: {to_json(self.fields)[:-1]},".encode()

    def event(self, rest: str) -> bytes:
        """An event of these fields and the JSON fields in `rest`."""
        return self._start + rest.encode() + b"}\n\n"


def usage_fields(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def chat_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, Any]:
    def entry(token: TokenLogprob) -> dict[str, Any]:
        return {"token": token.token, "logprob": token.logprob, "bytes": list(token.bytes)}

    content = [entry(token) | {"top_logprobs": [entry(other) for other in token.top]} for token in logprobs]
    return {"content": content, "refusal": None}


def completion_logprobs(logprobs: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    """`offset` is the number of characters before the first token."""
    offsets = []
    for token in logprobs:
        offsets.append(offset)
        offset += len(token.token)
    top: list[Mapping[str, float]] = [{other.token: other.logprob for other in token.top} for token in logprobs]
    return {
        "tokens": [token.token for token in logprobs],
        "token_logprobs": [token.logprob for token in logprobs],
        "top_logprobs": top,
        "text_offset": offsets,
    }
