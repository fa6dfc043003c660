"""What the scripted engine does beyond the contract: what it is told to."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastchat.core.errors import FastChatError, InvalidRequest, SetupError, WorkerFailed
from fastchat.engines.base import ChatPrompt, GenerationRequest, GrammarConstraint, Sampling, TextPrompt
from fastchat.engines.registry import EngineOptions
from fastchat.engines.scripted import ScriptedEngine, load
from fastchat.engines.scripted.instances import instance_of
from fastchat.engines.scripted.prefix_cache import BLOCK, PrefixCache
from fastchat.engines.scripted.tokens import pieces_of, text_of, tokens_of
from tests.engines.asking import ask, user

DIES = """
import asyncio
from fastchat.engines.base import GenerationRequest, TextPrompt
from fastchat.engines.registry import EngineOptions, load_engine

async def main():
    engine = await load_engine("scripted", EngineOptions("scripted", engine_args={"error": "die", "error_at_token": 1}))
    async for delta in engine.generate(GenerationRequest(TextPrompt("four and more"))):
        print(delta.text, flush=True)

asyncio.run(main())
"""


async def scripted(**engine_args: Any) -> ScriptedEngine:
    return await load(EngineOptions("scripted", context_length=512, slots=2, engine_args=engine_args))


def hello(*, script: Mapping[str, Any] | None = None, **sampling: Any) -> GenerationRequest:
    extra = {} if script is None else {"scripted": script}
    return GenerationRequest(ChatPrompt([user("Hello, 世界!")]), Sampling(**sampling), extra=extra)


class Clock:
    """Stands in for waiting: an engine that sleeps moves it on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr("fastchat.engines.scripted.playback.asyncio.sleep", self._sleep)
        monkeypatch.setattr("fastchat.engines.scripted.playback.asyncio.get_running_loop", lambda: self)

    def time(self) -> float:
        return self.now

    async def _sleep(self, pause: float) -> None:
        self.now += pause
        self.pauses.append(round(pause, 6))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_tokens_spell_any_text(text: str) -> None:
    assert text_of(tokens_of(text)) == text


def test_tokens_end_inside_characters() -> None:
    assert pieces_of("a😀b") == [b"a\xf0\x9f\x98", b"\x80b"]


async def test_it_echoes_what_was_said_last() -> None:
    engine = await scripted()
    assert (await ask(engine, hello())).text == "Hello, 世界!"
    assert (await ask(engine, GenerationRequest(TextPrompt("Once upon")))).text == "Once upon"


async def test_it_says_what_the_script_says() -> None:
    engine = await scripted(reply="Good day.")
    assert (await ask(engine, hello())).text == "Good day."


async def test_one_request_may_bring_its_own_script() -> None:
    engine = await scripted(reply="Good day.")
    assert (await ask(engine, hello(script={"reply": "Bye."}))).text == "Bye."
    assert (await ask(engine, hello())).text == "Good day."


@pytest.mark.parametrize("tokens", [0, 1, 7, 100])
async def test_the_reply_has_as_many_tokens_as_asked(tokens: int) -> None:
    answer = await ask(await scripted(reply="abcdefgh", tokens=tokens), hello())
    assert answer.usage.completion_tokens == tokens
    assert answer.text == ("abcdefgh" * 100)[: 4 * tokens]
    assert answer.finish_reason == "stop"


async def test_pauses_come_before_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, clock = await scripted(reply="abcdefghijkl", first_token_ms=500, token_ms=20), Clock(monkeypatch)
    await ask(engine, hello())
    assert clock.pauses == [0.5, 0.02, 0.02]


async def test_a_cached_prompt_is_answered_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, clock = await scripted(reply="abcd", prefill_us_per_token=1000), Clock(monkeypatch)
    prompt = TextPrompt("0123456789abcdef" * 20)  # 80 tokens
    answers = [await ask(engine, GenerationRequest(prompt)) for _ in range(2)]
    assert [answer.usage.cached_tokens for answer in answers] == [0, 80 - BLOCK]
    assert clock.pauses == [0.08, 0.016]


async def test_without_pauses_others_still_get_their_turn() -> None:
    engine = await scripted()
    endless = hello(ignore_eos=True)
    ended: list[str] = []

    async def run(name: str, request: GenerationRequest) -> None:
        await ask(engine, request)
        ended.append(name)

    await asyncio.gather(run("long", endless), run("short", hello()))
    assert ended == ["short", "long"]


@pytest.mark.parametrize("status", [400, 429, 500, 502, 503, 504])
async def test_it_fails_as_told_after_the_tokens_told(status: int) -> None:
    stream = (await scripted(reply="abcdefgh", error=status, error_at_token=1)).generate(hello())
    assert (await anext(stream)).text == "abcd"
    with pytest.raises(FastChatError) as caught:
        await anext(stream)
    assert caught.value.status == status
    assert (caught.value.retry_after_s is not None) == (status == 429)


async def test_an_answer_shorter_than_the_failure_fails_at_its_end() -> None:
    with pytest.raises(FastChatError):
        await ask(await scripted(error=503, error_at_token=99), hello())


def test_it_dies_as_told() -> None:
    done = subprocess.run([sys.executable, "-c", DIES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (70, "four\n")


@pytest.mark.parametrize(
    "engine_args", [{"replay": "x"}, {"token_ms": -1}, {"error": 418}, {"tokens": "many"}, {"embedding_size": 0}]
)
async def test_engine_args_it_does_not_know_are_refused(engine_args: Mapping[str, Any]) -> None:
    with pytest.raises(SetupError, match=next(iter(engine_args))):
        await scripted(**engine_args)


async def test_an_unknown_key_is_told_what_is_allowed() -> None:
    with pytest.raises(SetupError, match=r"no 'replay'.* error, .*reply, .*token_ms"):
        await scripted(replay="x")


@pytest.mark.parametrize("script", [{"replay": "x"}, {"token_ms": "slow"}, {"embedding_size": 3, "reply": 1}, "fast"])
async def test_a_script_it_cannot_read_is_the_callers_error(script: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(await scripted(), hello(script=script))
    assert caught.value.param == "scripted"


async def test_it_has_no_template_to_replace() -> None:
    with pytest.raises(SetupError):
        await load(EngineOptions("scripted", chat_template="{{ messages }}"))


async def test_it_knows_no_grammars() -> None:
    request = GenerationRequest(TextPrompt("x"), constraint=GrammarConstraint('root ::= "x"'))
    with pytest.raises(InvalidRequest):
        await ask(await scripted(), request)


async def test_a_gap_counts_both_sides_as_prompt() -> None:
    answer = await ask(await scripted(), GenerationRequest(TextPrompt("12345678", suffix="abcdefgh")))
    assert answer.usage.prompt_tokens == 4


async def test_after_closing_nothing_works() -> None:
    engine = await scripted()
    await engine.close()
    await engine.close()
    assert not await engine.is_healthy()
    with pytest.raises(WorkerFailed):
        await ask(engine, hello())


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache = PrefixCache(capacity_tokens=4 * BLOCK)
    first, second, third = [list(range(start, start + 2 * BLOCK)) for start in (0, 1000, 2000)]
    cache.add(first)
    cache.add(second)
    cache.add(first)
    cache.add(third)
    assert [cache.match([*prompt, 0]) for prompt in (first, second, third)] == [2 * BLOCK, 0, 2 * BLOCK]


def test_the_cache_finds_only_beginnings() -> None:
    cache = PrefixCache(capacity_tokens=1000)
    cache.add(list(range(64)))
    assert cache.match([*range(40), *range(1000, 1100)]) == 2 * BLOCK
    assert cache.match([7, *range(64)]) == 0


def test_the_last_token_is_never_cached() -> None:
    cache = PrefixCache(capacity_tokens=1000)
    cache.add(list(range(BLOCK)))
    assert cache.match(list(range(BLOCK))) == 0


@pytest.mark.parametrize(
    "schema",
    [
        {"const": {"a": [1, "é"]}},
        {"enum": ["b", "c"]},
        {"type": "string", "minLength": 9, "maxLength": 10},
        {"type": "string", "maxLength": 2},
        {"type": "integer", "exclusiveMinimum": 3},
        {"type": "integer", "maximum": -5},
        {"type": "number", "exclusiveMaximum": 0},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["integer", "null"]},
        {"type": "array", "items": {"type": "integer"}, "minItems": 3},
        {"type": "array", "prefixItems": [{"type": "string"}, {"type": "boolean"}], "minItems": 2},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"], "$defs": {"a": {"const": 1}}},
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"allOf": [{"type": "object"}, {"properties": {"a": {"const": 1}}, "required": ["a"]}]},
        {"definitions": {"a/b": {"type": "integer"}}, "$ref": "#/definitions/a~1b"},
    ],
    ids=json.dumps,
)
def test_an_instance_fits_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(instance_of(schema), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objec"},
        {"type": "string", "pattern": "^x+$"},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"$ref": "#/nowhere"},
        {"$ref": "http://example.org/schema"},
        {"const": 1, "not": {"$ref": "http://example.org/schema"}},
        False,
        {"enum": []},
    ],
    ids=json.dumps,
)
def test_a_schema_it_cannot_satisfy_is_the_callers_error(schema: Any) -> None:
    with pytest.raises(InvalidRequest):
        instance_of(schema)
