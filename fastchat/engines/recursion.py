"""Whether the references of a JSON schema lead to an end.

    {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}      no: every object needs another

Nothing finite fits such a schema. llguidance compiles it, gives up in the middle of the answer, and llama.cpp goes on
without a grammar; so it has to be noticed before. Only what certainly has no end is reported: keywords that are not
looked at here count as met.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

_MOST_STEPS = 100_000  # about a tenth of a second; hundreds of definitions take a few thousand


class TooEntangled(Exception):
    """There are more references upon references than we are willing to follow."""


def endless_references(schema: Mapping[str, Any]) -> list[str]:
    """References to what nothing finite fits.

    Raises:
        TooEntangled: telling would take too long.
    """
    search = _Search()
    open_ = {ref: target for ref in dict.fromkeys(_references(schema)) if (target := _target(schema, ref)) is not None}
    search.open = set(open_)
    # The least fixed point: an end is what needs no reference, or only such as are known to end.
    while ended := [ref for ref in search.open if search.ends(open_[ref])]:
        search.open.difference_update(ended)
    return sorted(search.open)


class _Search:
    def __init__(self) -> None:
        self.open: set[str] = set()  # references not known to end
        self._steps = 0

    def ends(self, schema: Any) -> bool:
        """Something finite fits, given what is known of the references so far."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise TooEntangled
        if not isinstance(schema, Mapping):
            return schema is not False
        if schema.get("$ref") in self.open:
            return False
        choices = [schema[key] for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list)]
        return (
            all(map(self.ends, schema.get("allOf", ())))
            and all(any(map(self.ends, choice)) for choice in choices)
            and self._contents_end(schema)
        )

    def _contents_end(self, schema: Mapping[str, Any]) -> bool:
        """One of the types it may have has a value whose necessary parts end."""
        kinds = schema.get("type", "any")
        parts = {"object": _needed_properties, "array": _needed_items}
        return any(
            all(map(self.ends, parts[kind](schema))) if kind in parts else True
            for kind in ([kinds] if isinstance(kinds, str) else kinds)
        )


def _needed_properties(schema: Mapping[str, Any]) -> Iterator[Any]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name in properties:
            yield properties[name]
        elif "patternProperties" not in schema:
            yield others


def _needed_items(schema: Mapping[str, Any]) -> list[Any]:
    least, first = schema.get("minItems", 0), schema.get("prefixItems", [])
    rest = [schema["items"]] if least > len(first) and "items" in schema else []
    return [*first[: int(least)], *rest]


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(ref := schema.get("$ref"), str):
            yield ref
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _target(schema: Any, ref: str) -> Any:
    """What `#/$defs/node` points at; None if that is no place in this schema."""
    pointer, *path = unquote(ref).split("/")
    if pointer != "#":
        return None
    for part in path:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(schema, list) and key.isdecimal() and int(key) < len(schema):
            schema = schema[int(key)]
        elif isinstance(schema, Mapping) and key in schema:
            schema = schema[key]
        else:
            return None
    return schema
