"""Schemas that refer to themselves: those nothing finite fits, and no others."""

from typing import Any

import pytest

from fastchat.core.errors import InvalidRequest
from fastchat.engines.grammars import forced_call, json_answer
from fastchat.engines.recursion import endless_references

A_NEEDS: dict[str, Any] = {"type": "object", "required": ["a"]}
SELF = {"$ref": "#"}


@pytest.mark.parametrize(
    "schema",
    [
        A_NEEDS | {"properties": {"a": SELF}},
        A_NEEDS | {"properties": {"a": {"anyOf": [SELF, A_NEEDS | {"properties": {"a": SELF}}]}}},
        A_NEEDS | {"additionalProperties": SELF},
        {"type": "array", "items": SELF, "minItems": 1},
        {"type": "array", "prefixItems": [SELF], "minItems": 1},
        {"type": ["array", "object"], "items": SELF, "minItems": 1, "required": ["a"], "properties": {"a": SELF}},
        {"allOf": [{"type": "object"}, SELF]},
        {"$ref": "#/$defs/x~1y", "$defs": {"x/y": {"$ref": "#/%24defs/z"}, "z": {"$ref": "#/$defs/x~1y"}}},
        {"properties": {"optional": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"oneOf": [{"$ref": "#/$defs/x"}]}}},
    ],
)
def test_what_needs_itself_has_no_end(schema: dict[str, Any]) -> None:
    assert endless_references(schema)
    with pytest.raises(InvalidRequest, match="has no end") as caught:
        json_answer(schema)
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": SELF}},
        {"properties": {"a": SELF}, "required": ["a"]},  # of any type: a number fits
        A_NEEDS | {"properties": {"a": {"anyOf": [SELF, {"type": "null"}]}}},
        A_NEEDS | {"properties": {"a": {"type": "array", "items": SELF}}},
        {"type": "array", "items": SELF},
        {"type": ["array", "string"], "items": SELF, "minItems": 1},
        {"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"type": "string"}}},
        {"$ref": "https://example.com/schema"},
        {"properties": {"$ref": {"type": "string"}}},
    ],
)
def test_what_may_stop_has_an_end(schema: dict[str, Any]) -> None:
    assert endless_references(schema) == []


def test_the_parameters_of_a_tool_have_to_end_too() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": A_NEEDS | {"properties": {"a": SELF}}}}
    with pytest.raises(InvalidRequest, match="has no end") as caught:
        forced_call([tool])
    assert caught.value.param == "tools"


def test_a_tangle_of_references_is_given_up() -> None:
    chain: dict[str, Any] = {f"d{number}": {"$ref": f"#/$defs/d{number + 1}"} for number in range(2000)}
    with pytest.raises(InvalidRequest, match="too many references"):
        json_answer({"$ref": "#/$defs/d0", "$defs": chain | {"d2000": {"type": "null"}}})
