"""The engine contract, run over every engine: what a worker may rely on whatever stands behind it."""

import asyncio
import json
import math
from contextlib import aclosing

import jsonschema
import pytest

from fastchat.core.errors import ContextLengthExceeded, FastChatError, InvalidRequest
from fastchat.engines.base import ChatPrompt, Engine, Feature, GenerationRequest, JsonConstraint, Sampling, TextPrompt
from tests.engines.asking import CLOCK, WEATHER, ask, chat, spoken, user
from tests.project.tables import feature_tables

pytestmark = pytest.mark.asyncio(loop_scope="session")

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "pets": {"type": "array", "items": {"enum": ["cat", "dog"]}, "minItems": 1, "maxItems": 2},
        "job": {"anyOf": [{"$ref": "#/$defs/job"}, {"type": "null"}]},
    },
    "required": ["name", "age", "pets", "job"],
    "additionalProperties": False,
    "$defs": {"job": {"type": "object", "properties": {"paid": {"type": "boolean"}}, "required": ["paid"]}},
}
ENDLESS = GenerationRequest(TextPrompt("Once upon a time"), Sampling(ignore_eos=True))


def needs(engine: Engine, feature: Feature) -> None:
    """Skip a test of what this engine does not say it has; that it refuses it then is a test of its own."""
    if feature not in engine.info.features:
        pytest.skip(f"the engine {engine.info.engine!r} has no {feature}")


async def test_deltas_are_increments_and_only_the_last_finishes(engine: Engine) -> None:
    answer = await ask(engine, spoken("one two three four five six"))
    assert answer.text == '"one two three four five six"'
    assert len(answer.deltas) > 3
    *others, last = answer.deltas
    assert all(delta.finish_reason is None and delta.usage is None for delta in others)
    assert last.finish_reason == "stop"
    assert last.usage is not None


async def test_usage_counts_the_tokens_of_prompt_and_answer(engine: Engine) -> None:
    tokens = await engine.tokenize("Once upon a time there was", add_special=True)
    answer = await ask(engine, GenerationRequest(TextPrompt(tokens), Sampling(max_tokens=5, ignore_eos=True)))
    assert answer.usage.prompt_tokens == len(tokens)
    assert answer.usage.completion_tokens == 5
    assert answer.finish_reason == "length"


async def test_a_prompt_of_token_ids_is_the_same_as_its_text(engine: Engine) -> None:
    text = "The quick brown fox jumps over"
    tokens = await engine.tokenize(text, add_special=True)
    greedy = Sampling(temperature=0, max_tokens=8)
    by_text = await ask(engine, GenerationRequest(TextPrompt(text), greedy))
    by_tokens = await ask(engine, GenerationRequest(TextPrompt(tokens), greedy))
    assert by_tokens.text == by_text.text
    assert by_tokens.usage.prompt_tokens == by_text.usage.prompt_tokens


async def test_no_tokens_asked_no_tokens_given(engine: Engine) -> None:
    answer = await ask(engine, GenerationRequest(TextPrompt("Once upon a time"), Sampling(max_tokens=0)))
    assert answer.text == ""
    assert answer.finish_reason == "length"
    assert answer.usage.completion_tokens == 0


async def test_no_half_character_is_sent(engine: Engine) -> None:
    text = "😀é漢👩‍👩‍👧‍👦ñ🏳️‍🌈"
    answer = await ask(engine, spoken(text))
    assert answer.text == f'"{text}"'
    assert not any("\ufffd" in delta.text for delta in answer.deltas)


@pytest.mark.parametrize("max_tokens", range(1, 8))
async def test_an_answer_cut_inside_a_character_ends_before_it(engine: Engine, max_tokens: int) -> None:
    answer = await ask(engine, spoken("😀漢👩‍👩‍👧‍👦", max_tokens=max_tokens))
    assert '"😀漢👩‍👩‍👧‍👦"'.startswith(answer.text)
    assert answer.usage.completion_tokens <= max_tokens


@pytest.mark.parametrize(
    ("stop", "sent"),
    [
        (("beta",), '"alpha '),
        (("ta gam",), '"alpha be'),
        (("gamma delta", "beta gamma"), '"alpha '),
        (("beta!", "gammas"), '"alpha beta gamma delta"'),
        (("漢",), '"alpha beta gamma delta"'),
    ],
)
async def test_nothing_of_a_stop_string_is_sent(engine: Engine, stop: tuple[str, ...], sent: str) -> None:
    answer = await ask(engine, spoken("alpha beta gamma delta", stop=stop))
    assert answer.text == sent
    assert answer.finish_reason == "stop"
    assert answer.usage.completion_tokens > 0


async def test_a_stop_string_may_hold_characters_of_many_bytes(engine: Engine) -> None:
    assert (await ask(engine, spoken("a 😀漢 b", stop=("😀漢",)))).text == '"a '


async def test_a_stop_token_ends_the_answer_and_is_not_sent(engine: Engine) -> None:
    whole = await ask(engine, chat("Tell me about the sea."))
    before, stop = (tokens := await engine.tokenize(whole.text, add_special=False))[:2], tokens[2]
    cut = await ask(engine, chat("Tell me about the sea.", stop_token_ids=(stop,)))
    assert cut.text == await engine.detokenize(before) != ""
    assert cut.finish_reason == "stop"
    assert cut.usage.completion_tokens == 3


async def test_closing_the_stream_frees_the_slot(engine: Engine) -> None:
    busy = [engine.generate(ENDLESS) for _ in range(engine.info.slots)]
    for stream in busy:
        await anext(stream)
    waiting = asyncio.create_task(ask(engine, chat("Hello!", max_tokens=2)))
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    await busy[0].aclose()
    await asyncio.wait_for(waiting, 30)
    for stream in busy[1:]:
        await stream.aclose()


async def test_one_who_leaves_the_queue_takes_no_slot(engine: Engine) -> None:
    busy = [engine.generate(ENDLESS) for _ in range(engine.info.slots)]
    for stream in busy:
        await anext(stream)
    waiting = asyncio.create_task(ask(engine, chat("Hello!", max_tokens=2)))
    await asyncio.wait([waiting], timeout=0)
    waiting.cancel()
    for stream in busy:
        await stream.aclose()
    again = [ask(engine, chat("Hello!", max_tokens=2)) for _ in range(engine.info.slots)]
    assert len(await asyncio.wait_for(asyncio.gather(*again), 60)) == engine.info.slots


async def test_greedy_answers_are_the_same_every_time(engine: Engine) -> None:
    first, second = [await ask(engine, chat("Tell me about the sea.")) for _ in range(2)]
    assert first.text == second.text != ""


async def test_strangers_get_their_own_answers(engine: Engine) -> None:
    nonces = [f"nonce-{number * 7919:06d}" for number in range(3 * engine.info.slots)]
    answers = await asyncio.gather(*(ask(engine, spoken(nonce)) for nonce in nonces))
    assert [json.loads(answer.text) for answer in answers] == nonces


async def test_json_validates_against_its_schema(engine: Engine) -> None:
    needs(engine, "json_schema")
    request = GenerationRequest(
        ChatPrompt([user("Describe a person as JSON.")]),
        Sampling(temperature=0, max_tokens=100),
        constraint=JsonConstraint(PERSON),
    )
    answer = await ask(engine, request)
    assert answer.finish_reason == "stop"
    jsonschema.validate(json.loads(answer.text), PERSON)


async def test_a_schema_that_is_none_is_the_callers_error(engine: Engine) -> None:
    needs(engine, "json_schema")
    request = GenerationRequest(ChatPrompt([user("Hi")]), constraint=JsonConstraint({"type": "objec"}))
    with pytest.raises(InvalidRequest) as caught:
        await ask(engine, request)
    assert caught.value.param == "response_format"


@pytest.mark.parametrize("choice", ["required", "get_time"])
async def test_a_demanded_tool_is_called(engine: Engine, choice: str) -> None:
    needs(engine, "tools")
    tools = [CLOCK, WEATHER]
    prompt = ChatPrompt([user("What time is it?")], tools, choice)
    answer = await ask(engine, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=60)))
    assert answer.finish_reason == "tool_calls"
    assert answer.text == ""
    [(name, arguments)] = answer.calls
    parameters = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    jsonschema.validate(json.loads(arguments), parameters[name])
    assert choice in ("required", name)
    first, *others = answer.call_deltas
    assert first.id
    assert all(part.id is None and part.name is None for part in others)


async def test_tools_that_must_not_be_called_are_not(engine: Engine) -> None:
    needs(engine, "tools")
    prompt = ChatPrompt([user("Hello!")], [WEATHER], "none")
    answer = await ask(engine, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=8)))
    assert answer.text
    assert not answer.calls


async def test_a_final_assistant_message_is_continued(engine: Engine) -> None:
    messages = [user("Say hello to the whole world."), {"role": "assistant", "content": "Say hel"}]
    assert (await engine.render(ChatPrompt(messages))).endswith("Say hel")
    answer = await ask(engine, GenerationRequest(ChatPrompt(messages), Sampling(temperature=0, max_tokens=8)))
    assert answer.text
    assert not answer.text.startswith("Say hel")


async def test_logprobs_spell_the_text(engine: Engine) -> None:
    needs(engine, "logprobs")
    answer = await ask(engine, chat("Tell me about the sea.", top_logprobs=3))
    assert b"".join(bytes(entry.bytes) for entry in answer.logprobs).decode() == answer.text
    for entry in answer.logprobs:
        assert entry.logprob <= 0
        assert len(entry.top) == 3
        ranked = [other.logprob for other in entry.top]
        assert ranked == sorted(ranked, reverse=True)
        assert sum(map(math.exp, ranked)) <= 1.001


async def test_logprobs_of_the_chosen_token_alone(engine: Engine) -> None:
    needs(engine, "logprobs")
    answer = await ask(engine, chat("Tell me about the sea.", top_logprobs=0))
    assert answer.logprobs
    assert all(entry.top == () for entry in answer.logprobs)


async def test_logprobs_tell_nothing_of_a_stop_string(engine: Engine) -> None:
    needs(engine, "logprobs")
    answer = await ask(engine, spoken("alpha beta gamma", stop=("beta",), top_logprobs=0))
    told = b"".join(bytes(entry.bytes) for entry in answer.logprobs[:-1]).decode()
    assert '"alpha '.startswith(told)


async def test_a_prompt_that_does_not_fit_is_told_in_tokens(engine: Engine) -> None:
    text = "word " * 2 * engine.info.context_length
    tokens = len(await engine.tokenize(text, add_special=True))
    with pytest.raises(ContextLengthExceeded, match=rf"{engine.info.context_length} tokens.* has {tokens}\b"):
        await ask(engine, GenerationRequest(TextPrompt(text)))


async def test_an_answer_ends_where_the_context_does(engine: Engine) -> None:
    tokens = await engine.tokenize("word " * 4 * engine.info.context_length, add_special=True)
    prompt = tokens[: engine.info.context_length - 6]
    answer = await ask(engine, GenerationRequest(TextPrompt(prompt), Sampling(ignore_eos=True)))
    assert answer.finish_reason == "length"
    assert 0 < answer.usage.completion_tokens <= 6


@pytest.mark.parametrize(
    "request_",
    [
        GenerationRequest(TextPrompt([2**40])),
        GenerationRequest(TextPrompt("a"), constraint=JsonConstraint({"$ref": "#/nowhere"})),
        GenerationRequest(TextPrompt("a"), adapter="nobody"),
        GenerationRequest(ChatPrompt([user("a")], [WEATHER], "nobody")),
        GenerationRequest(TextPrompt("word " * 20_000)),
    ],
)
async def test_only_our_errors_leave(engine: Engine, request_: GenerationRequest) -> None:
    with pytest.raises(FastChatError) as caught:
        await ask(engine, request_)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["", "plain", "  spaces \n\t", "é漢😀👩‍👩‍👧‍👦", "1234567890", "\x00\x7f", "‮‏עברית"])
async def test_tokens_spell_the_text_they_came_from(engine: Engine, text: str) -> None:
    assert await engine.detokenize(await engine.tokenize(text, add_special=False)) == text


async def test_token_ids_that_do_not_exist_are_the_callers_error(engine: Engine) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await engine.detokenize([2**40])
    assert caught.value.param == "tokens"


async def test_embeddings_are_unit_vectors_that_depend_on_the_text(engine: Engine) -> None:
    needs(engine, "embeddings")
    tokens = await engine.tokenize("A cat.", add_special=True)
    embeddings = await engine.embed(["A cat.", "The stock market fell.", tokens])
    assert {len(row) for row in embeddings.rows} == {engine.info.embedding_size}
    assert [math.hypot(*row) for row in embeddings.rows] == pytest.approx([1, 1, 1], abs=1e-5)
    cat, market, cat_again = embeddings.rows
    assert cat_again == pytest.approx(cat, abs=1e-3)
    assert cat != pytest.approx(market, abs=1e-3)
    assert embeddings.prompt_tokens >= 2 * len(tokens)


@pytest.mark.parametrize(
    ("feature", "request_"),
    [
        ("logprobs", chat("Hi", top_logprobs=0)),
        ("logprobs", chat("Hi", top_logprobs=2)),
        ("infill", GenerationRequest(TextPrompt("a", suffix="b"))),
        ("adapters", GenerationRequest(TextPrompt("a"), adapter="any")),
    ],
)
async def test_what_an_engine_does_not_have_it_refuses(
    engine: Engine, feature: Feature, request_: GenerationRequest
) -> None:
    if feature in engine.info.features:
        pytest.skip(f"the engine {engine.info.engine!r} has {feature}")
    with pytest.raises(InvalidRequest):
        await ask(engine, request_)


async def test_an_engine_without_embeddings_says_so(engine: Engine) -> None:
    assert ("embeddings" in engine.info.features) == (engine.info.embedding_size is not None)
    if engine.info.embedding_size is None:
        with pytest.raises(InvalidRequest):
            await engine.embed(["A cat."])


async def test_it_is_healthy_while_it_answers(engine: Engine) -> None:
    stream = engine.generate(ENDLESS)
    async with aclosing(stream):
        await anext(stream)
        assert await engine.is_healthy()


async def test_it_can_do_what_the_documents_say(engine: Engine) -> None:
    cells = {name.strip("`"): row.get(engine.info.engine) for name, row in feature_tables()[0].items()}
    if cells["chat"] is None:
        pytest.skip("the table is about real engines")
    always = {name for name, cell in cells.items() if cell == "yes"}
    never = {name for name, cell in cells.items() if cell == "–"}
    assert always <= engine.info.features
    assert not never & engine.info.features
