"""What an answer must look like, as a grammar in llguidance's dialect of Lark.

For engines that llguidance guides. JSON comes on one line, with the spaces models are used to: left the freedom, a
small model fills its answer with white space.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema

from fastchat.core.errors import InvalidRequest
from fastchat.engines.recursion import TooEntangled, endless_references

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_MOST_CALLS = 8
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")


ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


def json_answer(schema: Mapping[str, Any]) -> str:
    """
    Raises:
        InvalidRequest: this is no JSON Schema.
    """
    return _grammar(f"answer: {_json(schema, param='response_format')}")


def forced_call(tools: Sequence[Mapping[str, Any]]) -> str:
    """`<tool_call>{"name": …, "arguments": {…}}</tool_call>`, for one of the tools.

    One call: a small model that is made to call repeats itself for as long as it may.
    """
    return _grammar(*_call_rules(tools), f'answer: "{OPEN}" call "{CLOSE}"')


def free_calls(
    tools: Sequence[Mapping[str, Any]], *, parallel: bool, otherwise: Mapping[str, Any] | None = None
) -> str:
    """Any text, or JSON of the schema `otherwise`; or calls, one a line, which text may introduce."""
    more = f' ("\\n{OPEN}" call "{CLOSE}"){{0,{_MOST_CALLS - 1}}}' if parallel else ""
    calls = f'call "{CLOSE}"{more}'
    if otherwise is not None:
        answer = [f'answer: {_json(otherwise, param="response_format")} | "{OPEN}" {calls}']
    else:
        # A lazy token ends as soon as it can: at the first mark the text is over and the call has begun.
        answer = [f"text_and_mark[lazy]: /(?s:.*){OPEN}/", "TEXT: /(?s:.*)/", f"answer: TEXT | text_and_mark {calls}"]
    return _grammar(*_call_rules(tools), *answer)


def _grammar(*rules: str) -> str:
    return "\n".join(["%llguidance {}", "start: answer", *rules]) + "\n"


def _call_rules(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    rules = ["call: " + " | ".join(f"call_{number}" for number in range(len(tools)))]
    for number, function in enumerate(tool["function"] for tool in tools):
        head = json.dumps(f'{{"name": "{function["name"]}", "arguments": ')
        schema = function.get("parameters") or {"type": "object", "additionalProperties": False}
        rules.append(f'call_{number}: {head} {_json(schema, param="tools")} "}}"')
    return rules


def _json(schema: Mapping[str, Any], *, param: str) -> str:
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(dict(schema))
        _check_ends(schema, param)
        if not _joins_objects(schema):
            schema = _settled(schema)
        return "%json " + json.dumps(dict(schema) | {"x-guidance": _LAYOUT})
    except jsonschema.SchemaError as error:
        raise InvalidRequest(f"The JSON schema is malformed: {error.message[:300]}", param=param) from None
    except RecursionError:
        raise InvalidRequest("The JSON schema is nested too deeply.", param=param) from None


def _check_ends(schema: Mapping[str, Any], param: str) -> None:
    try:
        endless = endless_references(schema)
    except TooEntangled:
        raise InvalidRequest("The JSON schema has too many references to references.", param=param) from None
    if endless:
        raise InvalidRequest(
            f"The JSON schema has no end: whatever fits {endless[0]!r} needs another such part in it. Let it be left "
            "out, be null or be an empty list.",
            param=param,
        )


def _settled(schema: Any) -> Any:
    """The schema without freedom that only leads a model astray: properties nobody declared, formats nobody knows."""
    if not isinstance(schema, Mapping):
        return schema
    settled = {key: _settled_part(key, value) for key, value in schema.items()}
    if settled.get("format") not in _FORMATS:
        settled.pop("format", None)
    if "properties" in settled and "patternProperties" not in settled:
        settled.setdefault("additionalProperties", False)
    return settled


def _settled_part(key: str, value: Any) -> Any:
    if key in ("properties", "patternProperties", "$defs", "definitions") and isinstance(value, Mapping):
        return {name: _settled(part) for name, part in value.items()}
    if key in ("anyOf", "oneOf", "prefixItems") and isinstance(value, list):
        return [_settled(part) for part in value]
    if key in ("items", "additionalProperties"):
        return _settled(value)
    return value


def _joins_objects(schema: Any) -> bool:
    """With `allOf` an object may get properties from several places, so none of them is the whole list."""
    if isinstance(schema, Mapping):
        return "allOf" in schema or any(map(_joins_objects, schema.values()))
    return isinstance(schema, list) and any(map(_joins_objects, schema))
