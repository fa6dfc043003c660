import json

import pytest
from pydantic import ValidationError

from fastchat.core.errors import InvalidRequest, NoWorker, QueueFull
from fastchat.protocol.openai import (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    error_reply,
    invalid_request,
    sse,
)

MESSAGES = [{"role": "user", "content": "hi"}]


def complaint(**fields: object) -> InvalidRequest:
    with pytest.raises(ValidationError) as error:
        ChatRequest.model_validate_json(json.dumps({"model": "m", "messages": MESSAGES, **fields}))
    return invalid_request(error.value)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0"),
        ({"stop": [1]}, "stop"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "absent"}}}, "tool_choice"),
    ],
)
def test_a_complaint_names_the_clients_own_field(fields: dict[str, object], param: str) -> None:
    assert (complaint(**fields).param or "").startswith(param)


def test_a_complaint_is_short_whatever_it_is_about() -> None:
    error = complaint(temperature="x" * 100_000, stop={"k" * 10_000: 1})
    assert len(error.message) < 1000


def test_a_million_faults_make_one_complaint() -> None:
    with pytest.raises(ValidationError) as error:
        ChatRequest.model_validate_json(json.dumps({"model": "m", "messages": [1] * 1_000_000}))
    assert error.value.error_count() == 1
    for prompt in ([1.5] * 1_000_000, [[1.5] * 1_000_000]):
        with pytest.raises(ValidationError) as error:
            CompletionRequest.model_validate_json(json.dumps({"model": "m", "prompt": prompt}))
        assert error.value.error_count() < 5


@pytest.mark.parametrize("field", ["functions", "function_call"])
def test_openais_old_tools_are_refused_with_the_name_of_the_new(field: str) -> None:
    assert "tool" in complaint(**{field: [{"name": "f"}]}).message


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_all_four_forms_of_a_prompt_are_one(prompt: object, prompts: object) -> None:
    assert CompletionRequest.model_validate({"model": "m", "prompt": prompt}).prompts == prompts
    assert EmbeddingRequest.model_validate({"model": "m", "input": prompt}).inputs == prompts


@pytest.mark.parametrize("prompt", [[], [[]], ["a", 1], [[1], "a"], [1.5], {"a": 1}])
def test_what_is_no_prompt_is_refused(prompt: object) -> None:
    with pytest.raises(ValidationError):
        CompletionRequest.model_validate({"model": "m", "prompt": prompt})


def test_fields_nobody_knows_are_kept() -> None:
    request = ChatRequest.model_validate({"model": "m", "messages": MESSAGES, "scripted": {"tokens": 3}})
    assert request.model_extra == {"scripted": {"tokens": 3}}


def test_errors_say_whether_to_come_back() -> None:
    assert error_reply(QueueFull("full", retry_after_s=2))[1] == {"retry-after": "2"}
    assert error_reply(InvalidRequest("wrong"))[1] == {"x-should-retry": "false"}
    assert error_reply(NoWorker("gone"))[1] == {}


def test_an_event_is_one_line_of_json() -> None:
    event = sse({"text": "Grüße\n\n👋"})
    assert event.startswith(b"data: ")
    assert event.count(b"\n") == 2
    assert json.loads(event[6:]) == {"text": "Grüße\n\n👋"}
