"""The main path on the real built-in model: gateway, worker, llama.cpp."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.stack.conftest import client_of
from tests.stack.system import System, until

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("model")]

MODEL = "smollm2-135m-instruct"
FRANCE: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("real"))
    try:
        system.worker(MODEL, flags=["--model-path", "builtin"])
        asyncio.run(system.until_served(MODEL))
        yield system
    finally:
        system.stop()


@pytest.fixture
async def client(system: System) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(system, timeout=120) as client:
        yield client


async def test_the_model_says_something_sensible(client: openai.AsyncOpenAI) -> None:
    text = await client.completions.create(model=MODEL, prompt="The capital of France is", temperature=0, max_tokens=4)
    assert "Paris" in text.choices[0].text
    hello: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello! Who are you?"}]
    answer = await client.chat.completions.create(model=MODEL, messages=hello, temperature=0, max_tokens=32)
    assert "Hello" in (answer.choices[0].message.content or "")


async def test_greedy_text_is_the_same_streamed_and_whole(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model=MODEL, messages=FRANCE, temperature=0, max_tokens=48)
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=FRANCE,
        temperature=0,
        max_tokens=48,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert whole.usage is not None
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_sixty_four_strangers_each_get_their_own_answer(client: openai.AsyncOpenAI) -> None:
    async def ask(number: int) -> bool:
        nonce = f"nonce-{number * 7919}"
        schema = {"type": "object", "properties": {"id": {"const": nonce}}, "required": ["id"]}
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": f"Your id is {nonce}."}],
            response_format={"type": "json_schema", "json_schema": {"name": "id", "schema": schema}},
            max_tokens=60,
        )
        return bool(json.loads(answer.choices[0].message.content or "")["id"] == nonce)

    assert all(await asyncio.gather(*(ask(number) for number in range(64))))


async def test_a_client_that_leaves_frees_the_slot(system: System, session: aiohttp.ClientSession) -> None:
    worker = system.processes[-1]
    long = {"model": MODEL, "messages": FRANCE, "max_tokens": 4000, "ignore_eos": True}
    streaming = await session.post(f"{system.url}/v1/chat/completions", json={**long, "stream": True})
    await streaming.content.readuntil(b"\n\n")
    whole = asyncio.create_task(session.post(f"{system.url}/v1/chat/completions", json=long))

    async def running(count: int) -> bool:
        async with session.get(f"{worker.url}/metrics") as reply:
            page = await reply.text()
        return f'fastchat_requests_running{{model="{MODEL}"}} {count}.0' in page

    await until(lambda: running(2), "both run")
    streaming.close()
    whole.cancel()
    await until(lambda: running(0), "both are over")


async def test_a_prompt_beyond_the_context_is_refused_in_time(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 50_000}])
    assert refused.value.code == "context_length_exceeded"


async def test_embeddings_of_like_texts_are_alike(client: openai.AsyncOpenAI) -> None:
    texts = ["The cat sat on the mat.", "A cat was sitting on a mat.", "Interest rates rose in March."]
    reply = await client.embeddings.create(model=MODEL, input=texts)
    cat, also_cat, rates = (item.embedding for item in reply.data)

    def cosine(left: list[float], right: list[float]) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    assert cosine(cat, cat) == pytest.approx(1, abs=1e-3)
    assert cosine(cat, also_cat) > cosine(cat, rates)


async def test_a_second_turn_finds_its_prefix_cached(client: openai.AsyncOpenAI) -> None:
    first: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "You are a patient teacher. " * 20},
        {"role": "user", "content": "Name a colour."},
    ]
    answer = await client.chat.completions.create(model=MODEL, messages=first, temperature=0.7, max_tokens=8)
    second: list[ChatCompletionMessageParam] = [
        *first,
        {"role": "assistant", "content": answer.choices[0].message.content},
        {"role": "user", "content": "Another one."},
    ]
    reply = await client.chat.completions.create(model=MODEL, messages=second, temperature=0.7, max_tokens=8)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    assert (reply.usage.prompt_tokens_details.cached_tokens or 0) > 80
