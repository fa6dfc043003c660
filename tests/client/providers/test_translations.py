"""What the providers' APIs are asked, word for word; and what they have that others have not."""

import json
from typing import Any

import openai
import pytest

from fastchat.client.providers import anthropic_requests as anthropic
from fastchat.client.providers import bedrock_requests as bedrock
from fastchat.client.providers import gemini_requests as gemini
from fastchat.client.providers.conversation import Conversation, Media, Text, ToolResult, ToolUse
from fastchat.client.providers.errors import refusal
from fastchat.client.providers.openai_sdk import for_reasoning
from fastchat.core.errors import EndpointRefused, InvalidRequest, NoWorker, QueueFull, WorkerFailed, WorkerTimeout
from fastchat.protocol.openai import ChatRequest
from tests.client.providers.dialects import WIRES, AnthropicWire, BedrockWire, GeminiWire, OpenAIWire, event, frame
from tests.client.providers.scripts import Call, Refusal, Script
from tests.client.providers.servers import hosted

USER = {"role": "user", "content": "Hello?"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
OTHER = {"type": "function", "function": {"name": "news", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln"}'}},
        {"id": "2", "type": "function", "function": {"name": "news", "arguments": ""}},
    ],
}
RESULTS = [
    {"role": "tool", "tool_call_id": "1", "content": "rain"},
    {"role": "tool", "tool_call_id": "2", "content": ""},
]


def request(*messages: dict[str, Any], **fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "m", "messages": list(messages) or [USER], **fields})


# The conversation


def test_turns_alternate_and_system_words_stand_apart() -> None:
    read = Conversation.read(
        request(
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "One."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "Two."}]},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": "Three."},
        ).messages
    )
    assert read.system == "Be brief.\n\nBe kind."
    assert [(turn.role, turn.parts) for turn in read.turns] == [("user", [Text("One."), Text("Two."), Text("Three.")])]


def test_results_of_tools_are_one_turn_of_the_user_and_know_their_function() -> None:
    turns = Conversation.read(request(USER, CALLED, *RESULTS, {"role": "user", "content": "And?"}).messages).turns
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert turns[1].parts == [ToolUse("1", "weather", {"city": "Köln"}), ToolUse("2", "news", {})]
    assert turns[2].parts == [
        *(ToolResult("1", "weather", [Text("rain")]), ToolResult("2", "news", [])),
        Text("And?"),
    ]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/jpeg;base64,QUI=", Media("image/jpeg", b"AB")),
        ("data:image/jpeg;charset=utf-8;base64,QUI=", Media("image/jpeg", b"AB")),
        ("data:;base64,QUI=", Media("image/png", b"AB")),
        ("https://a.example/b.webp?c=1", Media("image/webp", url="https://a.example/b.webp?c=1")),
    ],
)
def test_pictures_are_read(url: str, expected: Media) -> None:
    content = [{"type": "image_url", "image_url": {"url": url}}]
    assert Conversation.read(request({"role": "user", "content": content}).messages).turns[0].parts == [expected]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image_url", "image_url": {}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
    ],
)
def test_parts_nobody_can_read_are_refused(part: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        Conversation.read(request({"role": "user", "content": [part]}).messages)


def test_broken_arguments_of_a_tool_are_refused() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": '}}]
    with pytest.raises(InvalidRequest, match="arguments"):
        Conversation.read(request(USER, {"role": "assistant", "tool_calls": calls}).messages)


# Anthropic


def test_anthropic_needs_a_limit_and_gets_one() -> None:
    assert anthropic.to_messages(request())["max_tokens"] == anthropic.DEFAULT_MAX_TOKENS
    assert anthropic.to_messages(request(max_tokens=9))["max_tokens"] == 9
    assert anthropic.to_messages(request(max_tokens=9, max_completion_tokens=8))["max_tokens"] == 8


def test_anthropic_is_not_told_what_changes_nothing() -> None:
    body = anthropic.to_messages(request(temperature=1, top_p=1, top_k=-1, presence_penalty=0, n=1, logprobs=False))
    assert set(body) == {"max_tokens", "messages"}
    assert anthropic.to_messages(request(temperature=1.7))["temperature"] == 1.0, "its scale ends there"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "tool", "name": "weather"}),
    ],
)
def test_anthropic_tool_choices(choice: object, expected: dict[str, str]) -> None:
    assert anthropic.to_messages(request(tools=[TOOL], tool_choice=choice))["tool_choice"] == expected


def test_anthropic_only_some_tools_one_at_a_time() -> None:
    only = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [OTHER]}}
    body = anthropic.to_messages(request(tools=[TOOL, OTHER], tool_choice=only, parallel_tool_calls=False))
    assert [tool["name"] for tool in body["tools"]] == ["news"]
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_anthropic_blocks() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
    paper = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUI="}}
    body = anthropic.to_messages(request({"role": "user", "content": [picture, paper]}, CALLED, *RESULTS))
    user, assistant, results = body["messages"]
    assert user["content"] == [
        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "QUI="}},
    ]
    assert assistant["content"][0] == {"type": "tool_use", "id": "1", "name": "weather", "input": {"city": "Köln"}}
    assert results["content"][0]["content"] == [{"type": "text", "text": "rain"}]


def test_anthropic_effort_and_thoughts() -> None:
    hard = anthropic.to_messages(request(reasoning_effort="xhigh"))
    assert (hard["thinking"], hard["output_config"]) == ({"type": "adaptive"}, {"effort": "xhigh"})
    assert anthropic.to_messages(request(reasoning_effort="none"))["thinking"] == {"type": "disabled"}
    own = {"type": "enabled", "budget_tokens": 2000}
    assert anthropic.to_messages(request(reasoning_effort="low", thinking=own))["thinking"] == own


async def test_signed_thoughts_go_back_as_they_came() -> None:
    async with hosted(WIRES["anthropic"]) as model:
        model.provider.script = Script(reasoning="Hm.", call=Call("weather", "{}"), finish="tool_calls")
        answer = await model.ask(tools=[TOOL])
        said = answer.choices[0].message.model_dump(exclude_none=True)
        await model.ask(
            messages=[USER, said, {"role": "tool", "tool_call_id": "call-1", "content": "rain"}], tools=[TOOL]
        )
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "signed"}
        assert model.provider.asked.body["messages"][1]["content"][0] == thought


class _FailingAnthropic(AnthropicWire):
    def end(self, script: Script, request: Any) -> Any:
        yield event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")


class _FailingBedrock(BedrockWire):
    def end(self, script: Script, request: Any) -> Any:
        yield frame("throttlingException", {"message": "Too fast."}, "exception")


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (_FailingAnthropic(**WIRES["anthropic"].entry), "overloaded"),
        (_FailingBedrock(**WIRES["bedrock"].entry), "Too fast"),
    ],
)
async def test_an_error_inside_a_stream_is_told_inside_the_stream(wire: Any, said: str) -> None:
    async with hosted(wire) as model:
        with pytest.raises(openai.APIError, match=said):
            [chunk async for chunk in await model.ask(stream=True)]


async def test_anthropics_status_says_more_than_its_word_for_it() -> None:
    async with hosted(WIRES["anthropic"]) as model:
        model.provider.script = Script(refusal=Refusal(500, "Broken."))  # which the script calls a wrong request
        with pytest.raises(openai.InternalServerError):
            await model.ask()


# Gemini


def test_gemini_settings() -> None:
    _, config = gemini.to_contents(
        request(temperature=0.5, max_tokens=9, stop="END", seed=7, logprobs=True, top_logprobs=2, top_k=40)
    )
    assert (config.temperature, config.max_output_tokens, config.stop_sequences) == (0.5, 9, ["END"])
    assert (config.seed, config.response_logprobs, config.logprobs, config.top_k) == (7, True, 2, 40)


def test_gemini_tools_and_their_results() -> None:
    only = {"type": "function", "function": {"name": "weather"}}
    contents, config = gemini.to_contents(request(USER, CALLED, *RESULTS, tools=[TOOL, OTHER], tool_choice=only))
    assert config.tool_config is not None
    calling = config.tool_config.function_calling_config
    assert calling is not None
    assert (calling.mode, calling.allowed_function_names) == ("ANY", ["weather"])
    assert [content.role for content in contents] == ["user", "model", "user"]
    answered = (contents[2].parts or [])[0].function_response
    assert answered is not None
    assert (answered.name, answered.response) == ("weather", {"result": "rain"})


def test_gemini_json() -> None:
    by_schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    _, config = gemini.to_contents(request(response_format=by_schema))
    assert (config.response_mime_type, config.response_json_schema) == ("application/json", SCHEMA)
    _, config = gemini.to_contents(request(response_format={"type": "json_object"}))
    assert (config.response_mime_type, config.response_json_schema) == ("application/json", None)


async def test_gemini_signatures_of_calls_go_back_as_they_came() -> None:
    async with hosted(WIRES["gemini"]) as model:
        model.provider.script = Script(call=Call("weather", "{}"), finish="tool_calls")
        answer = await model.ask(tools=[TOOL])
        said = answer.choices[0].message.model_dump(exclude_none=True)
        await model.ask(
            messages=[USER, said, {"role": "tool", "tool_call_id": "call-1", "content": "rain"}], tools=[TOOL]
        )
        parts = [part for content in model.provider.asked.body["contents"] for part in content["parts"]]
        assert [part["thoughtSignature"] for part in parts if "thoughtSignature" in part] == ["c2lnbmVk"]


class _Blocking(GeminiWire):
    def begin(self, script: Script, request: Any) -> Any:
        yield b"data: " + json.dumps({"promptFeedback": {"blockReason": "SAFETY"}}).encode() + b"\r\n\r\n"

    def end(self, script: Script, request: Any) -> Any:
        return iter(())


class _CountingFromTheBeginning(GeminiWire):
    def begin(self, script: Script, request: Any) -> Any:
        yield b"data: " + json.dumps({"usageMetadata": {"promptTokenCount": 12}}).encode() + b"\r\n\r\n"
        yield from super().begin(script, request)


async def test_gemini_counts_from_the_beginning_each_time_and_the_last_time_counts() -> None:
    async with hosted(_CountingFromTheBeginning(**WIRES["gemini"].entry)) as model:
        whole = await model.ask()
        options = {"include_usage": True}
        chunks = [chunk async for chunk in await model.ask(stream=True, stream_options=options)]
    assert [whole.usage.prompt_tokens, chunks[-1].usage.prompt_tokens] == [12, 12]


async def test_gemini_that_blocks_a_question_has_filtered_it() -> None:
    async with hosted(_Blocking(**WIRES["gemini"].entry)) as model:
        answer = await model.ask()
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("content_filter", "")


class _Logprobs(GeminiWire):
    def _response(self, parts: Any, script: Script | None) -> dict[str, Any]:
        response = super()._response(parts, script)
        token, other = {"token": "Hi", "logProbability": -0.5}, {"token": "Ho", "logProbability": -1.5}
        steps = {"chosenCandidates": [token], "topCandidates": [{"candidates": [token, other]}]}
        response["candidates"][0]["logprobsResult"] = steps
        return response


async def test_gemini_logprobs() -> None:
    async with hosted(_Logprobs(**WIRES["gemini_no_stream"].entry)) as model:
        answer = await model.ask(logprobs=True, top_logprobs=2)
    [token] = answer.choices[0].logprobs.content
    assert (token.token, token.logprob) == ("Hi", -0.5)
    assert [(other.token, other.logprob) for other in token.top_logprobs] == [("Hi", -0.5), ("Ho", -1.5)]


# Bedrock


def test_bedrock_words() -> None:
    by_schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    body = bedrock.to_converse(
        request({"role": "system", "content": "S"}, USER, max_tokens=9, temperature=0.5, top_p=1, top_k=4, stop="END")
    )
    assert body["system"] == [{"text": "S"}]
    assert body["inferenceConfig"] == {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["END"]}
    assert body["additionalModelRequestFields"] == {"top_k": 4}
    wanted = bedrock.to_converse(request(response_format=by_schema))["outputConfig"]["textFormat"]
    assert json.loads(wanted["structure"]["jsonSchema"]["schema"]) == SCHEMA


def test_bedrock_fetches_no_pictures() -> None:
    content = [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]
    with pytest.raises(InvalidRequest, match="data: URL"):
        bedrock.to_converse(request({"role": "user", "content": content}))


# All of them


@pytest.mark.parametrize("translate", [anthropic.to_messages, gemini.to_contents, bedrock.to_converse])
@pytest.mark.parametrize(
    ("field", "value"),
    [("logit_bias", {"5": 3}), ("min_p", 0.5), ("repetition_penalty", 1.2), ("stop_token_ids", [1])],
)
def test_what_a_provider_cannot_do_is_refused_by_name(translate: Any, field: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=field) as refused:
        translate(request(**{field: value}))
    assert refused.value.param == field


@pytest.mark.parametrize("translate", [anthropic.to_messages, bedrock.to_converse])
def test_json_without_a_schema_is_refused_where_there_is_none(translate: Any) -> None:
    with pytest.raises(InvalidRequest, match="json_schema"):
        translate(request(response_format={"type": "json_object"}))


def test_reasoning_models_get_the_fields_they_know() -> None:
    given = {"model": "o1", "messages": [USER], "max_tokens": 5, "temperature": 0.7, "top_p": 0.9, "seed": 3}
    assert for_reasoning(given) == {"model": "o1", "messages": [USER], "max_completion_tokens": 5, "seed": 3}
    assert for_reasoning({"max_tokens": 5, "max_completion_tokens": 6}) == {"max_completion_tokens": 6}


async def test_cohere_is_not_sent_what_it_refuses() -> None:
    async with hosted(OpenAIWire(api_type="cohere", api_key="k")) as model:
        chunks = [chunk async for chunk in await model.ask(stream=True, stream_options={"include_usage": True})]
    assert "stream_options" not in model.provider.asked.body
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, InvalidRequest), (422, InvalidRequest), (401, EndpointRefused), (402, EndpointRefused)),
        *(
            (403, EndpointRefused),
            (404, EndpointRefused),
            (408, WorkerTimeout),
            (429, QueueFull),
            (500, WorkerFailed),
            (503, NoWorker),
        ),
        *((504, WorkerTimeout), (529, NoWorker), (418, WorkerFailed)),
    ],
)
def test_statuses_become_our_errors(status: int, kind: type[Exception]) -> None:
    error = refusal("A provider", status, "It says sk-key.", key="sk-key")
    assert type(error) is kind
    assert "sk-key" not in error.message


@pytest.mark.parametrize(
    ("header", "expected"), [("17", 17), ("0.2", 1), ("999999", 3600), ("Fri, 20 Nov 2026 10:00:00 GMT", 5), (None, 5)]
)
def test_how_long_to_wait(header: str | None, expected: int) -> None:
    headers = {} if header is None else {"retry-after": header}
    assert refusal("A provider", 429, "", headers).retry_after_s == expected
