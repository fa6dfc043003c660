"""The form an answer must have, for the library's xgrammar.

xgrammar passes over keywords that it does not know, and takes `3,5` for a number between 3 and 4; so what it would get
wrong is refused, and a whole answer is validated once more. It also allows any amount of white space between the parts
of JSON, which cannot be turned off here: a small model may use it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

from fastchat.core.errors import InvalidRequest
from fastchat.engines.base import ChatPrompt, GenerationRequest, GrammarConstraint, JsonConstraint
from fastchat.engines.grammars import CLOSE, OPEN
from fastchat.engines.recursion import TooEntangled, endless_references

_PASSED_OVER = frozenset(
    (
        *("not", "if", "contains", "minContains", "maxContains", "uniqueItems", "multipleOf", "propertyNames"),
        *("dependentRequired", "dependentSchemas", "dependencies", "unevaluatedItems", "unevaluatedProperties"),
        *("$dynamicRef", "$recursiveRef"),
    )
)
_BOUNDS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))
_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "additionalProperties": False}


def form_of(request: GenerationRequest, prompt: ChatPrompt | None) -> Mapping[str, Any] | None:
    """What `host.structured_output` reads; None: the answer may be anything.

    Raises:
        InvalidRequest: no such form can be enforced.
    """
    constraint = request.constraint
    if prompt is not None and offers_tools(prompt):
        if isinstance(constraint, GrammarConstraint):
            raise InvalidRequest("A grammar and tools cannot be combined.", param="tools")
        return _calls(prompt, constraint)
    if isinstance(constraint, GrammarConstraint):
        return {"grammar": constraint.grammar}
    return None if constraint is None else {"schema": _text(_schema(constraint), param="response_format")}


def offers_tools(prompt: ChatPrompt) -> bool:
    return bool(prompt.tools) and prompt.tool_choice != "none"


def param_of(form: Mapping[str, Any]) -> str:
    """The field of the request that asked for it."""
    return "response_format" if "schema" in form else "grammar" if "grammar" in form else "tools"


def check_answer(text: str, constraint: JsonConstraint) -> None:
    """
    Raises:
        InvalidRequest: a whole answer is not what was asked for.
    """
    schema = _schema(constraint)
    try:
        _validator(schema)(schema, registry=Registry()).validate(json.loads(text))  # the registry fetches nothing
    except (ValueError, RecursionError, jsonschema.ValidationError, Unresolvable) as error:
        reason = error.message if isinstance(error, jsonschema.ValidationError) else str(error)
        raise InvalidRequest(
            f"The grammar of this engine could not enforce the JSON schema: {reason[:300]}", param="response_format"
        ) from None


def _calls(prompt: ChatPrompt, constraint: JsonConstraint | None) -> Mapping[str, Any]:
    is_forced = prompt.tool_choice != "auto"
    tools = [
        tool["function"]
        for tool in prompt.tools
        if prompt.tool_choice in ("auto", "required", tool["function"]["name"])
    ]
    if not tools:
        raise InvalidRequest(f"tool_choice names {prompt.tool_choice!r}, which is no tool.", param="tool_choice")
    otherwise = None if constraint is None or is_forced else _text(_schema(constraint), param="response_format")
    return {
        "calls": [_call(function) for function in tools],
        "mark": OPEN,
        "is_forced": is_forced,
        "only_one": is_forced or not prompt.parallel_tool_calls,
        "otherwise": otherwise,
    }


def _call(function: Mapping[str, Any]) -> Mapping[str, str]:
    schema = _text(function.get("parameters") or _NO_ARGUMENTS, param="tools")
    return {"begin": f'{OPEN}{{"name": "{function["name"]}", "arguments": ', "schema": schema, "end": f"}}{CLOSE}"}


def _schema(constraint: JsonConstraint) -> Mapping[str, Any]:
    return _ANY_OBJECT if constraint.schema is None else constraint.schema


def _text(schema: Mapping[str, Any], *, param: str) -> str:
    try:
        _validator(schema).check_schema(dict(schema))
        _refuse_unknown(schema, param)
        if endless := endless_references(schema):
            raise InvalidRequest(
                f"The JSON schema has no end: whatever fits {endless[0]!r} needs another such part in it.", param=param
            )
        return json.dumps(schema)
    except jsonschema.SchemaError as error:
        raise InvalidRequest(f"The JSON schema is malformed: {error.message[:300]}", param=param) from None
    except TooEntangled:
        raise InvalidRequest("The JSON schema has too many references to references.", param=param) from None
    except RecursionError:
        raise InvalidRequest("The JSON schema is nested too deeply.", param=param) from None


def _validator(schema: Mapping[str, Any]) -> Any:
    return jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)


def _refuse_unknown(schema: Any, param: str) -> None:
    if not isinstance(schema, Mapping):
        return
    unknown = sorted(key for key in schema if key in _PASSED_OVER and schema[key] is not False)
    if len(schema.get("allOf", ())) > 1:
        unknown.append("allOf with several parts")
    if "patternProperties" in schema and "properties" in schema:
        unknown.append("patternProperties beside properties")
    if _is_number(schema) and _BOUNDS & schema.keys():
        unknown.append("bounds of a number that is no integer")
    if not str(schema.get("$ref", "#")).startswith("#"):
        unknown.append("a $ref that leads out of the schema")
    if unknown:
        raise InvalidRequest(f"The grammar of this engine cannot enforce: {', '.join(unknown)}.", param=param)
    for part in _parts(schema):
        _refuse_unknown(part, param)


def _is_number(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    return "number" in (kinds if isinstance(kinds, list) else [kinds])


def _parts(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The schemas in a schema; what stands in `const` or `enum` is none, nor are the names of properties."""
    named = [schema.get(key) for key in ("properties", "patternProperties", "$defs", "definitions")]
    listed = [schema.get(key) for key in ("anyOf", "oneOf", "allOf", "prefixItems")]
    single = [schema.get(key) for key in ("items", "additionalProperties", "additionalItems")]
    return [
        *(part for group in named if isinstance(group, Mapping) for part in group.values()),
        *(part for group in listed if isinstance(group, list) for part in group),
        *single,
    ]
