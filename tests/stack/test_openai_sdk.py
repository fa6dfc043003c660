"""The official SDK against the whole system, with the scripted engine."""

import asyncio
import base64
import json
import struct
import subprocess
import sys

import aiohttp
import openai
import pytest
from openai.types.chat import ChatCompletionContentPartImageParam, ChatCompletionMessageParam

from tests.stack.conftest import client_of
from tests.stack.system import System

pytestmark = pytest.mark.xdist_group("stack")

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Grüße an alle, 你好 👋🏽!"}]

# The script of FastChat's guide, as its users have it.
SEED_SCRIPT = """
import openai

openai.api_key = "EMPTY"
openai.base_url = "{url}/v1/"

model = "{model}"
prompt = "Once upon a time"

# create a completion
completion = openai.completions.create(model=model, prompt=prompt, max_tokens=64)
# print the completion
print(prompt + completion.choices[0].text)

# create a chat completion
completion = openai.chat.completions.create(
  model=model,
  messages=[{{"role": "user", "content": "Hello! What is your name?"}}]
)
# print the completion
print(completion.choices[0].message.content)
"""


def test_the_script_of_fastchats_guide_runs(shared_system: System) -> None:
    script = SEED_SCRIPT.format(url=shared_system.url, model="echo")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Hello! What is your name?" in done.stdout


async def test_streamed_and_whole_answers_are_the_same(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="echo", messages=HELLO, temperature=0)
    stream = await client.chat.completions.create(
        model="echo", messages=HELLO, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content == HELLO[0]["content"]
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == []
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


async def test_without_include_usage_no_chunk_lacks_choices(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="echo", messages=HELLO, stream=True)
    assert all([chunk.choices async for chunk in stream])


async def test_the_sdks_own_stream_helper_understands_us(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="echo", messages=HELLO) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == HELLO[0]["content"]


async def test_several_choices_come_whole_and_streamed(client: openai.AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="echo", messages=HELLO, n=3)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert whole.usage is not None
    assert whole.usage.completion_tokens % 3 == 0
    texts = ["", "", ""]
    async for chunk in await client.chat.completions.create(model="echo", messages=HELLO, n=3, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == [HELLO[0]["content"]] * 3


@pytest.mark.parametrize("stop", ["alle", ["nowhere", "alle"]])
async def test_stop_strings_end_the_answer_before_them(client: openai.AsyncOpenAI, stop: str | list[str]) -> None:
    answer = await client.chat.completions.create(model="echo", messages=HELLO, stop=stop)
    assert answer.choices[0].message.content == "Grüße an "
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_both_names_limit_the_answer(client: openai.AsyncOpenAI, field: str) -> None:
    answer = await client.chat.completions.create(model="echo", messages=HELLO, extra_body={field: 2})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


async def test_logprobs_of_chat_and_completion_have_their_own_forms(client: openai.AsyncOpenAI) -> None:
    chat = await client.chat.completions.create(model="echo", messages=HELLO, logprobs=True, top_logprobs=2)
    assert chat.choices[0].logprobs is not None
    tokens = chat.choices[0].logprobs.content
    assert tokens
    assert all(len(token.top_logprobs) == 2 for token in tokens)
    joined = b"".join(bytes(token.bytes or []) for token in tokens)
    assert joined.decode() == HELLO[0]["content"]
    text = await client.completions.create(model="echo", prompt="one two", logprobs=1)
    logprobs = text.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens
    assert len(logprobs.tokens) == len(logprobs.token_logprobs or []) == len(logprobs.text_offset or [])


async def test_json_answers_validate(client: openai.AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"const": "n-17"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    answer = await client.chat.completions.create(
        model="echo",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}},
    )
    assert json.loads(answer.choices[0].message.content or "")["name"] == "n-17"
    free = await client.chat.completions.create(model="echo", messages=HELLO, response_format={"type": "json_object"})
    assert isinstance(json.loads(free.choices[0].message.content or ""), dict)


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"const": "Köln"}}, "required": ["city"]},
    },
}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_tool_calls_come_whole_and_streamed(client: openai.AsyncOpenAI, choice: object) -> None:
    options = {"tools": [WEATHER], "tool_choice": choice}
    whole = await client.chat.completions.create(model="echo", messages=HELLO, extra_body=options)
    assert whole.choices[0].finish_reason == "tool_calls"
    calls = whole.choices[0].message.tool_calls
    assert calls
    assert calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"city": "Köln"}
    async with client.chat.completions.stream(model="echo", messages=HELLO, extra_body=options) as stream:
        final = (await stream.get_final_completion()).choices[0].message
    assert final.tool_calls
    assert final.tool_calls[0].function.arguments == calls[0].function.arguments
    answer: list[ChatCompletionMessageParam] = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call.model_dump() for call in calls]},  # type: ignore[list-item, typeddict-item]
        {"role": "tool", "tool_call_id": calls[0].id, "content": "12 °C"},
    ]
    after = await client.chat.completions.create(model="echo", messages=answer, tools=[WEATHER])  # type: ignore[list-item]
    assert after.choices[0].message.content


async def test_tool_choice_none_gives_text(client: openai.AsyncOpenAI) -> None:
    options = {"tools": [WEATHER], "tool_choice": "none"}
    answer = await client.chat.completions.create(model="echo", messages=HELLO, extra_body=options)
    assert answer.choices[0].message.content
    assert not answer.choices[0].message.tool_calls


async def test_content_parts_and_the_developer_role_are_understood(client: openai.AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
    ]
    answer = await client.chat.completions.create(model="echo", messages=messages)
    assert answer.choices[0].message.content == "one two"


async def test_unknown_fields_are_tolerated(client: openai.AsyncOpenAI) -> None:
    extra = {"reasoning_effort": "max", "service_tier": "fast", "store": True, "verbosity": "low", "nonsense": [1]}
    answer = await client.chat.completions.create(model="echo", messages=HELLO, extra_body=extra)
    assert answer.choices[0].message.content


async def test_completions_take_batches_token_ids_and_echo(
    client: openai.AsyncOpenAI, shared_system: System, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"{shared_system.url}/tokenize", json={"model": "echo", "prompt": "one"}) as reply:
        ids = (await reply.json())["tokens"]
    batch = await client.completions.create(model="echo", prompt=["one", "two"], n=2, echo=True, max_tokens=1)
    assert [choice.index for choice in batch.choices] == [0, 1, 2, 3]
    assert [choice.text[:3] for choice in batch.choices] == ["one", "one", "two", "two"]
    by_id = await client.completions.create(model="echo", prompt=ids, max_tokens=4)
    by_ids = await client.completions.create(model="echo", prompt=[ids, ids], max_tokens=4)
    assert [choice.text for choice in by_ids.choices] == [by_id.choices[0].text] * 2
    stream = await client.completions.create(model="echo", prompt="one", echo=True, max_tokens=1, stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == batch.choices[0].text
    only_prompt = await client.completions.create(model="echo", prompt="one two", echo=True, max_tokens=0)
    assert only_prompt.choices[0].text == "one two"


async def test_best_of_returns_the_best_and_counts_all(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="echo", prompt="one", best_of=3, n=1, max_tokens=1)
    assert len(answer.choices) == 1
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


async def test_embeddings_come_as_floats_and_as_base64(client: openai.AsyncOpenAI) -> None:
    floats = await client.embeddings.create(model="echo", input=["one", "two"], encoding_format="float")
    default = await client.embeddings.create(model="echo", input=["one", "two"])
    assert default.data[1].embedding == pytest.approx(floats.data[1].embedding, abs=1e-6)
    raw = await client.embeddings.with_raw_response.create(model="echo", input="one", encoding_format="base64")
    encoded = json.loads(raw.text)["data"][0]["embedding"]
    unpacked = struct.unpack(f"<{len(floats.data[0].embedding)}f", base64.b64decode(encoded))
    assert list(unpacked) == pytest.approx(floats.data[0].embedding, abs=1e-6)
    short = await client.embeddings.create(model="echo", input="one", dimensions=3, encoding_format="float")
    assert len(short.data[0].embedding) == 3
    assert sum(value**2 for value in short.data[0].embedding) == pytest.approx(1)


async def test_the_old_path_for_embeddings_works(shared_system: System, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{shared_system.url}/v1/engines/echo/embeddings", json={"input": "one"}) as reply:
        assert (reply.status, len((await reply.json())["data"])) == (200, 1)


async def test_models_are_listed_and_described(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["echo", "echo-alias"]
    assert (await client.models.retrieve("echo")).object == "model"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nobody")


async def test_errors_reach_the_sdk_as_its_own_kinds(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="nobody", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        await client.chat.completions.create(model="echo", messages=HELLO, temperature=3)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as long:
        await client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "x" * 1_000_000}])
    assert long.value.code == "context_length_exceeded"


async def test_a_request_id_is_taken_over_or_made(shared_system: System, session: aiohttp.ClientSession) -> None:
    for path in ("/v1/models", "/v1/models/nobody", "/health", "/nowhere"):
        async with session.get(shared_system.url + path, headers={"x-request-id": "abc-1"}) as reply:
            assert reply.headers["x-request-id"] == "abc-1"
        async with session.get(shared_system.url + path) as reply:
            assert reply.headers["x-request-id"].startswith("req_")


async def test_two_hundred_streams_at_once_are_kept_apart(shared_system: System) -> None:
    async with client_of(shared_system, timeout=120) as client:

        async def ask(number: int) -> bool:
            text = f"stream {number} " * 20
            stream = await client.chat.completions.create(
                model="echo", messages=[{"role": "user", "content": text}], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == text

        assert all(await asyncio.gather(*(ask(number) for number in range(200))))


async def test_images_reach_the_engine_as_bytes(client: openai.AsyncOpenAI) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(59)
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    part: ChatCompletionContentPartImageParam = {"type": "image_url", "image_url": {"url": url}}
    answer = await client.chat.completions.create(
        model="echo", messages=[{"role": "user", "content": [{"type": "text", "text": "see "}, part, part]}]
    )
    assert answer.choices[0].message.content == "see [image/png, 67 bytes][image/png, 67 bytes]"


async def test_images_of_this_machine_are_not_fetched(client: openai.AsyncOpenAI, shared_system: System) -> None:
    part: ChatCompletionContentPartImageParam = {
        "type": "image_url",
        "image_url": {"url": f"{shared_system.url}/health"},
    }
    with pytest.raises(openai.BadRequestError, match="not public"):
        await client.chat.completions.create(model="echo", messages=[{"role": "user", "content": [part]}])
