"""The grammars as text; that they do what they should is tested on the real model."""

import json
import re
from typing import Any

import pytest

from fastchat.core.errors import InvalidRequest
from fastchat.engines.grammars import forced_call, free_calls, json_answer
from tests.engines.asking import CLOCK, WEATHER


def schema_in(grammar: str) -> Any:
    schema = json.loads(re.findall(r"%json (.*)", grammar)[0])
    del schema["x-guidance"]
    return schema


@pytest.mark.parametrize(
    ("given", "enforced"),
    [
        ({"type": "object"}, {"type": "object"}),
        ({"properties": {}}, {"properties": {}, "additionalProperties": False}),
        (
            {"properties": {}, "additionalProperties": {"type": "string"}},
            {"properties": {}, "additionalProperties": {"type": "string"}},
        ),
        (
            {"items": {"anyOf": [{"properties": {"a": {}}}]}},
            {"items": {"anyOf": [{"properties": {"a": {}}, "additionalProperties": False}]}},
        ),
        ({"allOf": [{"properties": {}}]}, {"allOf": [{"properties": {}}]}),
        ({"const": {"properties": {}}}, {"const": {"properties": {}}}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "swear-word"}, {"type": "string"}),
        ({"properties": {"format": {}}}, {"properties": {"format": {}}, "additionalProperties": False}),
    ],
)  # fmt: skip
def test_a_schema_loses_the_freedom_that_leads_astray(given: dict[str, Any], enforced: dict[str, Any]) -> None:
    assert schema_in(json_answer(given)) == enforced


@pytest.mark.parametrize("schema", [{"type": 3}, {"required": "all"}, {"items": 1}])
def test_a_malformed_schema_is_the_callers_error(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        json_answer(schema)


def test_a_schema_without_end_is_the_callers_error() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"items": deep}
    with pytest.raises(InvalidRequest, match="nested"):
        json_answer(deep)


def test_only_the_tools_given_can_be_called() -> None:
    assert "get_time" not in forced_call([WEATHER])
    assert "call: call_0 | call_1" in forced_call([WEATHER, CLOCK])


def test_one_call_or_several() -> None:
    assert "{0,7}" in free_calls([WEATHER], parallel=True)
    assert "{0,7}" not in free_calls([WEATHER], parallel=False)
