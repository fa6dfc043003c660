"""An idealised worker for FastChat 0.2's API server: its private protocol, and no model behind it.

It answers what that server asks for every request, and plays text at the pace that the last message of the prompt
names (`tokens=N token_ms=X`). As FastChat's own workers do, each message holds the text so far and ends in a NUL.
"""

import asyncio
import json
import re
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

CONTEXT_LENGTH = 1_000_000
_SCRIPT = re.compile(r"tokens=(\d+) token_ms=([\d.]+)")
_CONVERSATION = {
    "name": "one_shot",
    "system_template": "{system_message}",
    "system_message": "",
    "roles": ["Human", "Assistant"],
    "messages": [],
    "offset": 0,
    "sep_style": 1,
    "sep": "\n",
    "sep2": None,
    "stop_str": None,
    "stop_token_ids": None,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    fields = json.loads(body or b"{}")
    match scope["path"]:
        case "/worker_generate_stream":
            await _stream(fields, receive, send)
        case "/worker_generate":
            await _reply(send, [message async for message in _messages(fields)][-1])
        case "/count_token":
            await _reply(send, {"count": len(fields["prompt"]) // 4, "error_code": 0})
        case "/model_details":
            await _reply(send, {"context_length": CONTEXT_LENGTH})
        case "/worker_get_conv_template":
            await _reply(send, {"conv": _CONVERSATION})
        case _:
            await _reply(send, {"model_names": ["scripted"], "speed": 1, "queue_length": 0})


async def _stream(fields: Mapping[str, Any], receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    left = asyncio.ensure_future(receive())
    async for message in _messages(fields):
        if left.done():
            return
        await send({"type": "http.response.body", "body": json.dumps(message).encode() + b"\0", "more_body": True})
    left.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _messages(fields: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    script = _SCRIPT.search(fields["prompt"])
    tokens, step_s = (int(script[1]), float(script[2]) / 1000) if script else (16, 0.0)
    loop = asyncio.get_running_loop()
    started, text = loop.time(), ""
    for number in range(tokens):
        await asyncio.sleep(max(0.0, started + number * step_s - loop.time()))
        text += "word"
        usage = {"prompt_tokens": 1, "completion_tokens": number + 1, "total_tokens": number + 2}
        last = "length" if number + 1 == tokens else None
        yield {"text": text, "error_code": 0, "usage": usage, "finish_reason": last}


async def _reply(send: Send, fields: Mapping[str, Any]) -> None:
    body = json.dumps(fields).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _register(controller: str, port: int) -> None:
    status = {"model_names": ["scripted"], "speed": 1, "queue_length": 0}
    entry = {"worker_name": f"http://127.0.0.1:{port}", "check_heart_beat": False, "worker_status": status}
    entry["multimodal"] = False
    request = urllib.request.Request(
        f"{controller}/register_worker", json.dumps(entry).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


if __name__ == "__main__":
    _register(sys.argv[2], int(sys.argv[1]))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")
