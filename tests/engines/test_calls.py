"""Reading function calls out of a stream, and showing them to templates that know none."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fastchat.engines.base import Delta, ToolCallDelta
from fastchat.engines.tools import CallReader, as_text, describe
from tests.engines.asking import CLOCK, WEATHER, Answer, user

json_objects = st.dictionaries(
    st.text(max_size=5), st.recursive(st.text('{}"\\<ab', max_size=6), st.lists, max_leaves=3)
)


def call_text(name: str, arguments: str) -> str:
    return f'<tool_call>{{"name": "{name}", "arguments": {arguments}}}</tool_call>'


def read(text: str, places: list[int]) -> tuple[str, list[ToolCallDelta], CallReader]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    reader, said = CallReader(), ""
    deltas: list[ToolCallDelta] = []
    for start, end in pairwise(edges):
        part = reader.push(text[start:end])
        said += part.text
        deltas += part.calls
    return said + reader.flush(), deltas, reader


def calls_of(deltas: list[ToolCallDelta]) -> list[tuple[str, str]]:
    return Answer([Delta(tool_calls=tuple(deltas))]).calls


@given(st.text("ab<tol_ ", max_size=20), st.lists(json_objects, max_size=3), st.lists(st.integers(0, 300)))
def test_text_and_calls_are_told_apart_whatever_the_pieces(said: str, objects: list[object], places: list[int]) -> None:
    calls = [(f"f{number}", json.dumps(arguments)) for number, arguments in enumerate(objects)]
    text = said + "\n".join(call_text(*call) for call in calls)
    told, deltas, _ = read(text, places)
    assert told == said
    assert calls_of(deltas) == calls


@given(st.lists(st.integers(0, 300)))
def test_a_call_made_twice_is_told_once(places: list[int]) -> None:
    once, twice = call_text("f", "{}"), call_text("g", '{"a": 1}')
    _, deltas, reader = read("\n".join([once, twice, once, twice]), places)
    assert calls_of(deltas) == [("f", "{}"), ("g", '{"a": 1}')]
    assert reader.is_repeating


def test_the_first_call_is_passed_on_as_it_comes() -> None:
    reader = CallReader()
    parts = [reader.push(text).calls for text in ("<tool_", 'call>{"name": "f", "argu', 'ments": {"a"', ": 1}", "}")]
    assert [[delta.arguments for delta in part] for part in parts] == [[], [], ['{"a"'], [": 1}"], []]


def test_a_later_call_comes_whole_and_an_unfinished_one_not_at_all() -> None:
    text = call_text("f", "{}") + "\n" + call_text("g", '{"a": 1}') + '\n<tool_call>{"name": "h", "arguments": {"b'
    _, deltas, _ = read(text, list(range(200)))
    assert [delta.name for delta in deltas if delta.name] == ["f", "g"]
    assert [delta.arguments for delta in deltas if delta.index == 1] == ['{"a": 1}']


def test_every_call_gets_an_id_of_its_own() -> None:
    _, deltas, _ = read(call_text("f", "{}") + "\n" + call_text("g", "{}"), [])
    assert len({delta.id for delta in deltas if delta.id}) == 2


def test_what_only_looked_like_a_mark_is_text() -> None:
    assert read("a <tool_calx> b <tool_", [5, 9])[0] == "a <tool_calx> b <tool_"


def test_functions_are_described_in_the_system_message() -> None:
    system, question = describe(
        [{"role": "system", "content": "Be kind."}, user("Hi")], [WEATHER, CLOCK], role="system"
    )
    assert question == user("Hi")
    assert "get_weather" in system["content"]
    assert "get_time" in system["content"]
    assert system["content"].endswith("Be kind.")


def test_functions_are_described_in_a_message_of_their_own_if_there_is_none() -> None:
    described = describe([user("Hi")], [WEATHER], role="system")
    assert [message["role"] for message in described] == ["system", "user"]


def test_results_of_several_calls_become_one_message() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        user("Hi"),
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "1", "content": "two"},
        user("Well?"),
    ]
    plain = as_text(messages)
    assert [message["role"] for message in plain] == ["user", "assistant", "user", "user"]
    assert plain[1]["content"] == f"Let me see.\n{call_text('f', '{}')}\n{call_text('f', '{}')}"
    assert plain[2]["content"].count("<tool_response>") == 2
