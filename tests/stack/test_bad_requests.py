"""Nothing a client sends makes a 500, hangs the system or stops it from answering others."""

import asyncio
import io
import json
import random
from typing import Any, NamedTuple

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

from fastchat.gateway.api_docs import OPERATIONS, openapi_document
from tests.stack.system import System

pytestmark = pytest.mark.xdist_group("stack")

CHAT = "/v1/chat/completions"
POSTS = [operation.path for operation in OPERATIONS if operation.method == "post"]
MESSAGE = {"role": "user", "content": "x"}


def nested(depth: int) -> bytes:
    return b'{"model": "echo", "messages": ' + b"[" * depth + b"]" * depth + b"}"


BODIES: list[tuple[str, bytes, int]] = [
    ("nothing", b"", 400),
    ("not JSON", b"{", 400),
    ("a list", b"[]", 400),
    ("a string", b'"x"', 400),
    ("null", b"null", 400),
    ("no model", b'{"messages": []}', 400),
    ("a model that is a number", b'{"model": 1, "messages": []}', 400),
    ("an empty model", b'{"model": "", "messages": []}', 400),
    ("another model", b'{"model": "nobody", "messages": []}', 404),
    ("no messages", b'{"model": "echo"}', 400),
    ("empty messages", b'{"model": "echo", "messages": []}', 400),
    ("a message without role", b'{"model": "echo", "messages": [{"content": "x"}]}', 400),
    ("an unknown role", b'{"model": "echo", "messages": [{"role": "robot", "content": "x"}]}', 400),
    ("a user without content", b'{"model": "echo", "messages": [{"role": "user"}]}', 400),
    ("content that is a number", b'{"model": "echo", "messages": [{"role": "user", "content": 1}]}', 400),
    ("deep nesting", nested(100_000), 400),
    ("Latin-1", '{"model": "echo", "messages": [{"role": "user", "content": "ü"}]}'.encode("latin-1"), 400),
    ("UTF-16", '{"model": "echo"}'.encode("utf-16"), 400),
    ("half a surrogate pair", b'{"model": "echo", "messages": [{"role": "user", "content": "\\ud800"}]}', 400),
    ("NaN", b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400),
    ("a huge number", b'{"model": "echo", "messages": [{"role": "user", "content": "x"}], "n": 1e400}', 400),
]

FIELDS: list[tuple[str, Any]] = [
    ("temperature", -1),
    ("temperature", "0.7"),
    ("top_p", 1.5),
    ("n", 0),
    ("n", 1000),
    ("n", True),
    ("max_tokens", 0),
    ("max_tokens", 1.5),
    ("stop", 3),
    ("stop", [1]),
    ("logprobs", 5),
    ("top_logprobs", 21),
    ("logit_bias", {"x": 1}),
    ("logit_bias", {"1": 1000}),
    ("presence_penalty", 3),
    ("tools", "x"),
    ("tools", [{"type": "function"}]),
    ("tool_choice", "required"),
    ("tool_choice", {"type": "function", "function": {"name": "absent"}}),
    ("response_format", {"type": "xml"}),
    ("response_format", {"type": "json_schema"}),
    ("stream", "yes"),
    ("stream_options", 1),
]


class Reply(NamedTuple):
    status: int
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """The error object, which must be one of OpenAI's form."""
        error = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        return dict(error)


async def post(session: aiohttp.ClientSession, system: System, path: str, body: Any) -> Reply:
    headers = {"content-type": "application/json"}
    async with session.post(system.url + path, data=body, headers=headers) as reply:
        return Reply(reply.status, await reply.read())


@pytest.mark.parametrize(("body", "status"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
async def test_a_wrong_body_is_answered_with_its_fault(
    shared_system: System, session: aiohttp.ClientSession, body: bytes, status: int
) -> None:
    reply = await post(session, shared_system, CHAT, body)
    assert reply.status == status
    assert reply.error
    assert len(reply.body) < 2000, "an error is never as large as what caused it"


@pytest.mark.parametrize(("name", "value"), FIELDS)
async def test_a_wrong_field_is_named(
    shared_system: System, session: aiohttp.ClientSession, name: str, value: object
) -> None:
    body = json.dumps({"model": "echo", "messages": [MESSAGE], name: value}).encode()
    reply = await post(session, shared_system, CHAT, body)
    assert reply.status == 400
    assert name in (reply.error["param"] or reply.error["message"])


@pytest.mark.parametrize("name", ["temperature", "stop", "n", "tools", "seed", "stream_options", "response_format"])
async def test_null_means_the_default(shared_system: System, session: aiohttp.ClientSession, name: str) -> None:
    body = json.dumps({"model": "echo", "messages": [MESSAGE], name: None}).encode()
    assert (await post(session, shared_system, CHAT, body)).status == 200


async def test_a_body_beyond_the_limit_is_413(shared_system: System, session: aiohttp.ClientSession) -> None:
    reply = await post(session, shared_system, CHAT, io.BytesIO(b" " * (65 * 2**20)))
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


async def test_a_body_sent_without_its_length_is_limited_too(
    shared_system: System, session: aiohttp.ClientSession
) -> None:
    async def endless() -> Any:
        for _ in range(70):
            yield b" " * 2**20

    assert (await post(session, shared_system, CHAT, endless())).status == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", CHAT, 405), ("DELETE", "/v1/models", 405), ("POST", "/v1/nope", 404), ("POST", "/", 404)],
)
async def test_wrong_paths_and_methods_get_the_same_kind_of_error(
    shared_system: System, session: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    async with session.request(method, shared_system.url + path) as reply:
        assert Reply(reply.status, await reply.read()).error
        assert reply.status == status


async def test_a_compressed_body_is_refused_in_words(shared_system: System, session: aiohttp.ClientSession) -> None:
    async with session.post(
        shared_system.url + CHAT,
        data=b"\x1f\x8b",
        headers={"content-encoding": "br", "content-type": "application/json"},
    ) as reply:
        assert reply.status == 400
        assert "Content-Encoding" in (await reply.json())["error"]["message"]


def _spoiled(value: Any, rng: random.Random) -> Any:
    """The same value with one random place in it replaced by something odd."""
    odd: list[Any] = [None, True, -1, 2**70, 1e308, "", "\x00", "x" * 5000, [], {}, [[]], {"": None}]
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        return {**value, key: _spoiled(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        index = rng.randrange(len(value))
        return [*value[:index], _spoiled(value[index], rng), *value[index + 1 :]]
    return rng.choice(odd)


def _random_bodies(path: str, count: int) -> list[bytes]:
    """Requests drawn from our own OpenAPI document, two thirds of them spoiled in one place."""
    operation = schemathesis.openapi.from_dict(openapi_document())[path]["POST"]
    rng = random.Random(path)
    made: list[bytes] = []

    @seed(7)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy())
    def draw(case: Any) -> None:
        body = {**case.body, "model": "echo", "max_tokens": 2}
        made.append(json.dumps(_spoiled(body, rng) if rng.random() < 0.67 else body).encode())

    draw()
    return made


async def test_a_thousand_random_requests_make_no_500_and_leave_the_system_answering(
    shared_system: System, session: aiohttp.ClientSession
) -> None:
    each = 1000 // len(POSTS)
    bodies = [(path, body) for path in POSTS for body in await asyncio.to_thread(_random_bodies, path, each)]
    gate = asyncio.Semaphore(16)

    async def status(path: str, body: bytes) -> tuple[int, bytes]:
        async with gate:
            return (await post(session, shared_system, path, body)).status, body

    async with asyncio.timeout(120):
        results = await asyncio.gather(*(status(path, body) for path, body in bodies))
    assert [body for status, body in results if status >= 500] == []
    assert len(results) >= 900
    assert {status for status, _ in results} >= {200, 400}
    ok = json.dumps({"model": "echo", "messages": [MESSAGE]}).encode()
    assert (await post(session, shared_system, CHAT, ok)).status == 200
