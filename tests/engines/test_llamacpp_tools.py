"""Functions and thoughts, on the real built-in model: with its own template, which knows neither, and one that does."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import pytest_asyncio

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import ChatPrompt, GenerationRequest, JsonConstraint, Sampling
from fastchat.engines.llamacpp import LlamaEngine, load
from fastchat.engines.registry import EngineOptions
from fastchat.model import builtin
from tests.engines.asking import CLOCK, WEATHER, ask, chat, user

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

GREEDY = Sampling(temperature=0, max_tokens=24)
HERE = Path(__file__).parent


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def taught() -> AsyncIterator[LlamaEngine]:
    """The model with a template that knows functions and thoughts."""
    template = (HERE / "tools_and_thoughts.jinja").read_text()
    engine = await load(EngineOptions(str(builtin.ensure()), context_length=512, slots=1, chat_template=template))
    yield engine
    await engine.close()


def weather_talk(*cities: str) -> list[dict[str, Any]]:
    """Questions that were answered by calls, so that the model does the same with the last one."""
    messages = []
    for number, city in enumerate(cities):
        call = {"name": "get_weather", "arguments": json.dumps({"city": city})}
        messages += [
            user(f"What is the weather in {city}?"),
            {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{number}", "function": call}]},
        ]
    return messages[:-1]


@pytest.mark.parametrize("knows_tools", [False, True])
async def test_a_model_may_choose_to_call(llama: LlamaEngine, taught: LlamaEngine, knows_tools: bool) -> None:
    messages = weather_talk("Rome", "Oslo", "Lima", "Cairo", "Paris")
    prompt = ChatPrompt(messages, [WEATHER], template_kwargs={"enable_thinking": False})
    engine = taught if knows_tools else llama
    answer = await ask(engine, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=60)))
    [(name, arguments)] = answer.calls
    assert name == "get_weather"
    assert set(json.loads(arguments)) == {"city"}
    assert answer.finish_reason == "tool_calls"
    assert len(answer.call_deltas) > 2
    assert answer.text == ""


async def test_a_model_may_choose_to_talk(llama: LlamaEngine) -> None:
    prompt = ChatPrompt([user("Hello! Who are you?")], [WEATHER])
    answer = await ask(llama, GenerationRequest(prompt, GREEDY))
    assert len(answer.text) > 20
    assert not answer.calls


async def test_a_model_that_knows_tools_can_be_made_to_call(taught: LlamaEngine) -> None:
    prompt = ChatPrompt([user("What time is it?")], [WEATHER, CLOCK], "get_time")
    answer = await ask(taught, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=60)))
    [(name, arguments)] = answer.calls
    assert name == "get_time"
    jsonschema.validate(json.loads(arguments), CLOCK["function"]["parameters"])


async def test_json_and_tools_can_be_asked_for_together(llama: LlamaEngine) -> None:
    prompt = ChatPrompt([user("Say hello in JSON.")], [WEATHER])
    constraint = JsonConstraint({"type": "object", "properties": {"hello": {"const": "you"}}, "required": ["hello"]})
    answer = await ask(llama, GenerationRequest(prompt, Sampling(temperature=0, max_tokens=60), constraint))
    assert answer.calls or json.loads(answer.text) == {"hello": "you"}


async def test_a_tool_with_an_impossible_schema_is_named(llama: LlamaEngine) -> None:
    broken = {"type": "function", "function": {"name": "broken", "parameters": {"type": "objec"}}}
    with pytest.raises(InvalidRequest) as caught:
        await ask(llama, GenerationRequest(ChatPrompt([user("Hi")], [broken], "required"), GREEDY))
    assert caught.value.param == "tools"


async def test_calls_and_results_reach_a_template_that_knows_none(llama: LlamaEngine) -> None:
    messages = [*weather_talk("Rome", "Rome")[:2], {"role": "tool", "tool_call_id": "c0", "content": "It rains."}]
    text = await llama.render(ChatPrompt([*messages, user("Thanks!")], [WEATHER]))
    assert '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>' in text
    assert "<tool_response>\nIt rains.\n</tool_response>" in text
    assert '"description": "The weather of a city."' in text


async def test_thoughts_are_kept_apart_from_the_answer(taught: LlamaEngine) -> None:
    thinking = ChatPrompt([user("What is 2+2?")], template_kwargs={"enable_thinking": True})
    answer = await ask(taught, GenerationRequest(thinking, GREEDY))
    assert answer.reasoning
    assert not answer.text
    prompt = ChatPrompt([user("What is 2+2?")], template_kwargs={"enable_thinking": False})
    assert (await ask(taught, GenerationRequest(prompt, GREEDY))).reasoning == ""


async def test_a_constrained_answer_is_no_thought(taught: LlamaEngine) -> None:
    thinking = ChatPrompt([user("What is 2+2?")], template_kwargs={"enable_thinking": True})
    answer = await ask(taught, GenerationRequest(thinking, GREEDY, JsonConstraint({"const": 4})))
    assert (answer.text, answer.reasoning) == ("4", "")


async def test_a_template_that_refuses_says_why(taught: LlamaEngine) -> None:
    with pytest.raises(InvalidRequest, match="the last message was refused") as caught:
        await ask(taught, chat("refuse me"))
    assert caught.value.param == "messages"
