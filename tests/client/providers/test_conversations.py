"""Every provider: the same conversations, the same checks, from OpenAI's SDK through our gateway and the provider's SDK
to a server that speaks its protocol."""

import asyncio
import base64
import json
from typing import Any

import openai
import pytest

from tests.client.providers.dialects import KEY
from tests.client.providers.scripts import Call, Refusal, Script
from tests.client.providers.servers import MODEL, Hosted, hosted

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "How the weather is.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE_OF_EACH_SDK = ("anthropic", "gemini", "bedrock", "azure", "openai")  # and of none
BYTES = ("openai", "mistral", "openai_no_stream", "openai_o1", "azure")  # what comes is passed on as it is


def kind(model: Hosted) -> str:
    return str(model.wire.entry["api_type"])


async def streamed(model: Hosted, **fields: Any) -> tuple[dict[str, Any], list[Any]]:
    """What a stream comes to, and its chunks."""
    stream = await model.ask(stream=True, stream_options={"include_usage": True}, **fields)
    chunks = [chunk async for chunk in stream]
    whole: dict[str, Any] = {"text": "", "reasoning": "", "arguments": "", "finish": None, "usage": None}
    for chunk in chunks:
        whole["usage"] = chunk.usage or whole["usage"]
        for choice in chunk.choices:
            whole["text"] += choice.delta.content or ""
            whole["reasoning"] += (choice.delta.model_extra or {}).get("reasoning_content") or ""
            whole["finish"] = choice.finish_reason or whole["finish"]
            for call in choice.delta.tool_calls or ():
                whole["arguments"] += call.function.arguments or ""
                whole["call"] = (call.id, call.function.name) if call.id else whole["call"]
    return whole, chunks


async def test_an_answer_comes_whole(model: Hosted) -> None:
    answer = await model.ask()
    choice = answer.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hello wörld", "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (12, 7, 19)
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert model.wire.key(model.provider.asked) == model.wire.entry["api_key"]


async def test_an_answer_comes_in_pieces(model: Hosted) -> None:
    whole, chunks = await streamed(model)
    assert (whole["text"], whole["finish"]) == ("Hello wörld", "stop")
    assert (whole["usage"].prompt_tokens, whole["usage"].completion_tokens) == (12, 7)
    assert whole["usage"].prompt_tokens_details.cached_tokens == 4
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert sum(bool(chunk.choices and chunk.choices[0].finish_reason) for chunk in chunks) == 1


async def test_a_stream_is_asked_for_usage_or_has_none(model: Hosted) -> None:
    chunks = [chunk async for chunk in await model.ask(stream=True)]
    assert all(chunk.usage is None for chunk in chunks)


async def test_thoughts_are_told_apart(model: Hosted) -> None:
    model.provider.script = Script(reasoning="Let me see.")
    whole, _ = await streamed(model)
    answer = await model.ask()
    assert (whole["reasoning"], whole["text"]) == ("Let me see.", "Hello wörld")
    assert answer.choices[0].message.reasoning_content == "Let me see."
    assert answer.choices[0].message.content == "Hello wörld"


async def test_a_tool_is_called_and_its_result_sent_back(model: Hosted) -> None:
    model.provider.script = Script(texts=(), call=Call("weather", '{"city": "Köln"}'), finish="tool_calls")
    whole, _ = await streamed(model, tools=[TOOL])
    assert (whole["call"], json.loads(whole["arguments"])) == (("call-1", "weather"), {"city": "Köln"})
    assert whole["finish"] == "tool_calls"

    answer = await model.ask(tools=[TOOL], tool_choice="required")
    called = answer.choices[0].message
    assert json.loads(called.tool_calls[0].function.arguments) == {"city": "Köln"}
    assert '"city"' in model.provider.asked.text

    model.provider.script = Script()
    history = [
        {"role": "user", "content": "How is the weather in Köln?"},
        called.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": "call-1", "content": "Raining cats."},
    ]
    assert (await model.ask(messages=history, tools=[TOOL])).choices[0].message.content == "Hello wörld"
    asked = model.provider.asked.text
    assert "Raining cats." in asked
    assert "Köln" in asked
    assert "weather" in asked


async def test_system_words_pictures_and_settings_arrive(model: Hosted) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, picture]},
    ]
    await model.ask(messages=messages, max_tokens=55, temperature=0.25, stop=["END"])
    asked = model.provider.asked.text
    for expected in ("Be brief.", "One.", "What is this?", "END", "55"):
        assert expected in asked, expected
    assert ("0.25" in asked) == (kind(model) != "openai_o1")
    assert PIXEL in asked or PIXEL in asked.replace("-", "+").replace("_", "/")


async def test_json_by_a_schema_is_asked_for(model: Hosted) -> None:
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string"}},
        "required": ["capital"],
        "additionalProperties": False,
    }
    model.provider.script = Script(texts=('{"capital":', ' "Paris"}'))
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    answer = await model.ask(response_format=wanted)
    assert json.loads(answer.choices[0].message.content) == {"capital": "Paris"}
    assert "capital" in model.provider.asked.text


@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_why_an_answer_ended_is_told(model: Hosted, finish: str) -> None:
    model.provider.script = Script(finish=finish)
    assert (await model.ask()).choices[0].finish_reason == finish
    assert (await streamed(model))[0]["finish"] == finish


async def test_several_answers_are_asked_for_one_by_one(model: Hosted) -> None:
    if kind(model) in BYTES:
        pytest.skip("OpenAI's own answers to that are passed on")
    answer = await model.ask(n=2)
    assert [choice.message.content for choice in answer.choices] == ["Hello wörld"] * 2
    assert answer.usage.completion_tokens == 14
    chunks = [chunk async for chunk in await model.ask(n=2, stream=True)]
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_our_key_refused_is_a_failure_of_ours(model: Hosted, stream: bool) -> None:
    model.provider.script = Script(refusal=Refusal(401, f"Incorrect API key provided: {KEY}."))
    with pytest.raises(openai.APIStatusError) as refused:
        await model.ask(stream=stream)
    assert refused.value.status_code == 502
    assert "mend the key" in refused.value.message
    assert "secret" not in refused.value.response.text


async def test_too_many_requests_say_when_to_come_back(model: Hosted) -> None:
    model.provider.script = Script(refusal=Refusal(429, "Slow down.", {"retry-after": "17"}))
    with pytest.raises(openai.RateLimitError) as refused:
        await model.ask()
    assert refused.value.response.headers["retry-after"] == "17"
    assert "Slow down." in refused.value.message


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wrong_request_is_the_callers_and_says_why(model: Hosted, stream: bool) -> None:
    model.provider.script = Script(refusal=Refusal(400, "The frobnicator is too large."))
    with pytest.raises(openai.BadRequestError, match="frobnicator"):
        await model.ask(stream=stream)


async def test_an_overloaded_provider_is_unavailable(model: Hosted) -> None:
    status = 529 if model.wire.entry["api_type"].startswith("anthropic") else 503
    model.provider.script = Script(refusal=Refusal(status, "Overloaded."))
    with pytest.raises(openai.InternalServerError) as refused:
        await model.ask()
    assert refused.value.status_code == 503


async def test_leaving_ends_the_providers_stream(model: Hosted) -> None:
    if kind(model) in ("openai_no_stream", "gemini_no_stream"):
        pytest.skip("nothing comes before the end")
    model.provider.script = Script(then="hang")
    stream = await model.ask(stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    await stream.close()
    async with asyncio.timeout(10):
        await model.provider.client_left.wait()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_stream_that_breaks_ends_in_an_error(model: Hosted) -> None:
    if kind(model) in ("openai_no_stream", "gemini_no_stream"):
        pytest.skip("nothing comes before the end")
    model.provider.script = Script(then="break")
    got: list[str] = []
    with pytest.raises(openai.APIError):
        await read_into(got, model)
    assert "".join(got) == "Hello wörld"


async def read_into(got: list[str], model: Hosted) -> None:
    async for chunk in await model.ask(stream=True):
        got += [choice.delta.content or "" for choice in chunk.choices]


async def test_a_silent_provider_is_given_up(model: Hosted) -> None:
    if kind(model) not in ONE_OF_EACH_SDK:
        pytest.skip("the same way as one of the others")
    async with hosted(model.wire, idle_s=0.3) as silent:
        silent.provider.script = Script(texts=(), then="hang")
        with pytest.raises(openai.APIError, match=r"silent|No byte|in time|said nothing"):
            [chunk async for chunk in await silent.ask(stream=True)]


async def test_a_provider_nobody_reaches_is_unavailable(model: Hosted) -> None:
    if kind(model) not in ONE_OF_EACH_SDK:
        pytest.skip("the same way as one of the others")
    async with hosted(model.wire, api_base="http://127.0.0.1:9") as lost:
        with pytest.raises(openai.InternalServerError) as refused:
            await lost.ask()
    assert refused.value.status_code == 503


async def test_it_is_listed_like_any_model(model: Hosted) -> None:
    assert [card.id for card in (await model.client.models.list()).data] == [MODEL]


async def test_texts_are_embedded_where_the_provider_can(model: Hosted) -> None:
    if not model.wire.embeds:
        with pytest.raises(openai.BadRequestError, match="no embeddings"):
            await model.client.embeddings.create(model=MODEL, input=["a", "b"])
        return
    answer = await model.client.embeddings.create(model=MODEL, input=["a", "b"])
    assert [row.embedding for row in answer.data] == [[1.0, 2.0]] * 2


async def test_a_path_the_provider_lacks_is_refused_with_the_one_it_has(model: Hosted) -> None:
    if kind(model) in BYTES:
        pytest.skip("OpenAI's routes are all there")
    with pytest.raises(openai.BadRequestError, match="/v1/chat/completions"):
        await model.client.completions.create(model=MODEL, prompt="Once")


async def test_the_pixel_is_a_picture() -> None:
    assert base64.b64decode(PIXEL).startswith(b"\x89PNG")
