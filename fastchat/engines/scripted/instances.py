"""Makes up an instance of a JSON Schema: always the same one, and as small as the schema allows."""

import math
from collections.abc import Mapping
from typing import Any

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

from fastchat.core.errors import InvalidRequest

_DEEP = 32  # a required property that refers to its own schema has no end


def instance_of(schema: Mapping[str, Any], *, param: str = "response_format") -> Any:
    """
    Raises:
        InvalidRequest: the schema is malformed, or uses words this small generator does not know.
    """
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        validator.check_schema(dict(schema))
        instance = _make(schema, schema, 0)
        validator(schema, registry=Registry()).validate(instance)  # an empty registry: nothing is fetched
    except jsonschema.SchemaError as error:
        raise InvalidRequest(f"The JSON schema is malformed: {error.message[:300]}", param=param) from None
    except (jsonschema.ValidationError, Unresolvable, LookupError, RecursionError, TypeError, ValueError):
        raise InvalidRequest("The scripted engine cannot make up an instance of this schema.", param=param) from None
    return instance


def _make(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if depth > _DEEP:
        raise RecursionError
    if not isinstance(schema, Mapping):  # `true` stands for any schema
        return {}
    if "$ref" in schema:
        return _make(_resolve(schema["$ref"], root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return _make(schema[several][0], root, depth + 1)
    if "allOf" in schema:
        return _make({k: v for part in schema["allOf"] for k, v in part.items()}, root, depth + 1)
    return _make_typed(schema, root, depth)


def _make_typed(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            properties = schema.get("properties", {})
            return {name: _make(properties.get(name, True), root, depth + 1) for name in schema.get("required", ())}
        case "array":
            first = list(schema.get("prefixItems", ()))
            missing = schema.get("minItems", 0) - len(first)
            return [_make(item, root, depth + 1) for item in first + [schema.get("items", True)] * missing]
        case "string":
            return "text".ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
        case "integer":
            return math.ceil(_number(schema, step=1))
        case "number":
            return _number(schema, step=0.5)
        case "boolean":
            return True
    return None


def _number(schema: Mapping[str, Any], *, step: float) -> float:
    """The smallest allowed number from 0 upwards, or the largest below."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = math.floor(schema["exclusiveMinimum"] / step) * step + step
    if "exclusiveMaximum" in schema:
        high = math.ceil(schema["exclusiveMaximum"] / step) * step - step
    number = max(0, low) if low is not None else 0
    return number if high is None or number <= high else math.floor(high / step) * step


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            step = step.replace("~1", "/").replace("~0", "~")
            found = found[int(step)] if isinstance(found, list) else found[step]
    return found
