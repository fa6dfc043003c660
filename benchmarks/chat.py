"""A caller that reads what it is answered, for conversations where each turn depends on the last."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp

MessageT: TypeAlias = dict[str, str]

_WORDS = "every model reads a long prompt once and keeps what it has computed about each of its many tokens"


@dataclass(frozen=True, slots=True)
class Reply:
    text: str
    first_token_s: float
    prompt_tokens: int
    cached_tokens: int


async def ask(
    session: aiohttp.ClientSession, api_url: str, model: str, messages: Sequence[MessageT], *, tokens: int
) -> Reply:
    # Not greedy: the llama.cpp engine reads the prompts of greedy requests anew.
    body = {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 1}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    text = ""
    usage: dict[str, Any] = {}
    started, first = time.perf_counter(), None
    async with session.post(f"{api_url}/v1/chat/completions", json=body | streamed) as response:
        response.raise_for_status()
        async for line in response.content:
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            said = chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None
            if said:
                first = first or time.perf_counter()
                text += said
    assert first is not None, "an answer without text"
    return Reply(text, first - started, usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"])


def prose(rng: random.Random, words: int) -> str:
    """Text nobody has cached."""
    return " ".join(rng.choices(_WORDS.split(), k=words))
