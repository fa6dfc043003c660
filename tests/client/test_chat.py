import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from fastchat.client.chat import ChatClient, ChatDelta, ChatParameters, ChatToolCall, ChatUsage
from fastchat.client.endpoints import Endpoint
from fastchat.client.fleet import Fleet
from fastchat.client.http1 import Http1Client
from fastchat.client.pipe import Pipe
from fastchat.core.errors import (
    AuthenticationFailed,
    ContextLengthExceeded,
    FastChatError,
    InvalidRequest,
    NoWorker,
    QueueFull,
    UnknownModel,
    UnsupportedParameter,
    WorkerFailed,
)
from fastchat.protocol.control import ServedModel
from tests.client.test_http1 import Server, serving

HI = [{"role": "user", "content": "Hi"}]


def reply(status: int, body: bytes, kind: str = "application/json", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def stream(*chunks: Mapping[str, Any], done: bool = True) -> bytes:
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return reply(200, b": alive\n\n" + b"".join(events) + (b"data: [DONE]\n\n" if done else b""), "text/event-stream")


def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


@asynccontextmanager
async def asking(*answers: bytes) -> AsyncIterator[tuple[ChatClient, Server]]:
    """A client of one server that serves the model `m` under its own name `theirs`."""
    async with serving(Server(*answers)) as server:
        fleet = Fleet()
        model = ServedModel(name="m", upstream_name="theirs", features=("chat",))
        fleet.update([Endpoint("e", server.url, {"m": model})])
        pipe = Pipe(fleet, Http1Client(connect_s=5, idle_s=5))
        try:
            yield ChatClient(fleet, pipe, api_key="secret"), server
        finally:
            await pipe.close()


async def collect(client: ChatClient, parameters: ChatParameters = ChatParameters()) -> list[ChatDelta]:  # noqa: B008
    async with aclosing(client.stream("m", HI, parameters)) as deltas:
        return [delta async for delta in deltas]


async def test_increments_come_as_they_are_and_the_last_has_reason_and_usage() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}
    whole = stream(
        chunk(role="assistant", content=""),
        chunk(reasoning_content="Hm."),
        chunk(content="He"),
        chunk(content="llo"),
        chunk("stop"),
        {"choices": [], "usage": usage},
    )
    async with asking(whole) as (client, _):
        assert await collect(client) == [
            ChatDelta(reasoning="Hm."),
            ChatDelta(text="He"),
            ChatDelta(text="llo"),
            ChatDelta(finish_reason="stop", usage=ChatUsage(5, 2, 3)),
        ]


async def test_only_what_was_set_is_sent_and_to_the_name_the_server_knows() -> None:
    async with asking(stream(chunk("stop"))) as (client, server):
        await collect(client, ChatParameters(temperature=0.0, stop=("x",), extra={"tools": []}))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"authorization: Bearer secret" in head
    assert json.loads(body) == {
        "model": "theirs",
        "messages": HI,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "stop": ["x"],
        "tools": [],
    }


async def test_tool_calls_come_in_parts() -> None:
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": "{}"}}
    async with asking(stream(chunk(tool_calls=[first]), chunk(tool_calls=[more]), chunk("tool_calls"))) as (client, _):
        deltas = await collect(client)
    assert [call for delta in deltas for call in delta.tool_calls] == [
        ChatToolCall(0, "c1", "f", ""),
        ChatToolCall(0, None, None, "{}"),
    ]


async def test_a_whole_answer_is_one_delta_also_where_a_stream_was_asked_for() -> None:
    message = {"role": "assistant", "content": "Hello", "tool_calls": None}
    body = {"choices": [{"message": message, "finish_reason": "length"}], "usage": {"completion_tokens": 1}}
    whole = reply(200, json.dumps(body).encode())
    expected = ChatDelta(text="Hello", finish_reason="length", usage=ChatUsage(0, 1))
    async with asking(whole, whole) as (client, server):
        assert await client.complete("m", HI) == expected
        assert await collect(client) == [expected]
    assert "stream" not in json.loads(server.requests[0].partition(b"\r\n\r\n")[2])


def refusal(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "t", "param": "messages", "code": code}}).encode()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (reply(400, refusal("too long", "context_length_exceeded")), ContextLengthExceeded, "too long"),
        (reply(400, refusal("bad field")), InvalidRequest, "bad field"),
        (reply(401, refusal("no key")), AuthenticationFailed, "no key"),
        (reply(404, refusal("gone", "model_not_found")), UnknownModel, "gone"),
        (reply(404, refusal("nowhere")), UnknownModel, "nowhere"),
        (reply(400, refusal("not this", "unsupported_parameter")), UnsupportedParameter, "not this"),
        (reply(400, refusal("not 0", "unsupported_value")), UnsupportedParameter, "not 0"),
        (reply(429, refusal("full"), "application/json", "retry-after: 7"), QueueFull, "full"),
        (reply(503, refusal("nobody", "no_worker")), NoWorker, "nobody"),
        (reply(500, b"<html>"), WorkerFailed, "status 500"),
        (reply(422, b'{"detail": "no such field"}'), InvalidRequest, "no such field"),
        (reply(200, b"[]"), WorkerFailed, "no answer"),
        (reply(200, b"{}"), WorkerFailed, "without choices"),
        (stream(chunk(content="x"), done=False), WorkerFailed, "broke off"),
        (stream(chunk(content="x"), {"error": {"message": "died", "code": "no_worker"}}), NoWorker, "died"),
        (stream(chunk(content="x"), {"error": "plain words"}), WorkerFailed, "plain words"),
        (reply(200, b"data: {\n\n", "text/event-stream"), WorkerFailed, "no answer"),
    ],
)
async def test_every_failure_is_one_of_ours_in_the_servers_words(
    answer: bytes, kind: type[FastChatError], words: str
) -> None:
    async with asking(answer) as (client, _):
        with pytest.raises(kind, match=words) as raised:
            await collect(client)
    assert type(raised.value) is kind
    assert raised.value.retry_after_s == (7 if kind is QueueFull else None)


async def test_closing_the_answer_closes_the_connection() -> None:
    endless = (
        b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\n\r\ndata: " + json.dumps(chunk(content="a")).encode()
    )
    async with asking(endless + b"\n\n") as (client, server):
        deltas = client.stream("m", HI)
        assert (await anext(deltas)).text == "a"
        await deltas.aclose()
        async with asyncio.timeout(5):
            await server.lost.wait()


async def test_what_a_model_lacks_is_known_only_where_it_says_what_it_has() -> None:
    async with asking() as (client, _):
        assert client.knows_lack_of("vision", "m")
        assert not client.knows_lack_of("chat", "m")
        assert not client.knows_lack_of("vision", "unheard of")
