"""An OpenAI-compatible API that writes at a set pace; each token is the moment at which it was written.

    python -m benchmarks.paced_api PORT TOKENS TOKEN_MS

Moments are readings of the monotonic clock, which all processes of a machine share: `t24812.123456789 `. Its raw
connections cost a fraction of what they feed.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import uvloop

from benchmarks.pinning import BESIDE, pin

MODELS = ("alpha", "beta")
_TOKENS_A_LINE = 8
_END = b"0\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Connection(asyncio.Protocol):
    """One kept connection with one request at a time."""

    def __init__(self, tokens: int, token_s: float) -> None:
        self._tokens = tokens
        self._token_s = token_s
        self._read = b""
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's, which does not inherit from it

    def connection_lost(self, _: Exception | None) -> None:
        if self._next is not None:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._read = b""
        if head.startswith(b"POST "):
            self._answer(json.loads(body)["model"])
        else:
            self._transport.write(_whole({"object": "list", "data": [{"id": name} for name in MODELS]}))

    def _answer(self, model: str) -> None:
        self._transport.write(_STREAM)
        self._write(asyncio.get_running_loop().time(), _chunks(model, self._tokens))

    def _write(self, due: float, chunks: Iterator[bytes]) -> None:
        chunk = next(chunks, None)
        if chunk is None:
            self._transport.write(_END)
            return
        self._transport.write(chunk)
        due += self._token_s
        self._next = asyncio.get_running_loop().call_at(due, self._write, due, chunks)


def _chunks(model: str, tokens: int) -> Iterator[bytes]:
    """Made when they are asked for, which is when they are written."""
    for number in range(1, tokens + 1):
        space = " " if number % _TOKENS_A_LINE else "\n"
        yield _event(model, {"choices": [_choice({"content": f"t{time.monotonic():.9f}{space}"})]})
    yield _event(model, {"choices": [_choice({}, "stop")]})
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    yield _event(model, {"choices": [], "usage": usage}) + _chunked(b"data: [DONE]\n\n")


def _choice(delta: Mapping[str, str], finish_reason: str | None = None) -> Mapping[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _event(model: str, fields: Mapping[str, Any]) -> bytes:
    chunk = {"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 0, "model": model, **fields}
    return _chunked(f"data: {json.dumps(chunk)}\n\n".encode())


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole(content: Mapping[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _length(head: bytes) -> int:
    _, found, length = head.lower().partition(b"\r\ncontent-length:")
    return int(length.partition(b"\r\n")[0]) if found else 0


async def _serve(port: int, tokens: int, token_ms: float) -> None:
    make = lambda: Connection(tokens, token_ms / 1000)  # noqa: E731
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    pin(BESIDE)
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
