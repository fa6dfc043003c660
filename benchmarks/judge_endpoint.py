"""An OpenAI-compatible API that gives every answer the same grade, at once.

    python -m benchmarks.judge_endpoint PORT

Its raw connections cost a fraction of the caller's.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, cast

import uvloop

MODEL, VERDICT = "judge", "Clear, correct and complete. [[7]]"


class Connection(asyncio.Protocol):
    """One kept connection with one request at a time."""

    def __init__(self) -> None:
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's, which does not inherit from it

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            self._read = b""
            self._transport.write(_GRADE if head.startswith(b"POST ") else _MODELS)


def _length(head: bytes) -> int:
    _, found, length = head.lower().partition(b"\r\ncontent-length:")
    return int(length.partition(b"\r\n")[0]) if found else 0


def _whole(content: Mapping[str, Any]) -> bytes:
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


_MODELS = _whole({"object": "list", "data": [{"id": MODEL}]})
_GRADE = _whole(
    {
        "id": "chatcmpl-grade",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": VERDICT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 50, "total_tokens": 550},
    }
)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
