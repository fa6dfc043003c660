"""What has to be changed in one JSON value to get another. 1, 1.0 and true are three values here."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Any  # whatever json.loads can return
Patch: TypeAlias = Mapping[str, Any]

# A patch is one of
#     {}                                          nothing changes
#     {"is": VALUE}                               something else altogether
#     {"json": TEXT}                              likewise, of what no database can keep as it is (half surrogates)
#     {"at": {KEY: PATCH}, "without": [KEY, …]}   an object, changed in places
#     {"at": {INDEX: PATCH}}                      a list of the same length, likewise


def canonical(value: Json) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def difference(old: Json, new: Json) -> Patch:
    patch = _difference(old, new)
    try:
        json.dumps(patch, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return {"json": canonical(new)}
    return patch


def _difference(old: Json, new: Json) -> Patch:
    if type(old) is not type(new):
        return {"is": new}
    if isinstance(new, dict):
        at = {key: _difference(old[key], value) if key in old else {"is": value} for key, value in new.items()}
        patch: dict[str, Any] = {}
        if changed := {key: inner for key, inner in at.items() if inner}:
            patch["at"] = changed
        if gone := [key for key in old if key not in new]:
            patch["without"] = gone
        return patch
    if isinstance(new, list) and len(old) == len(new):
        inner = {str(index): _difference(*pair) for index, pair in enumerate(zip(old, new, strict=True))}
        return {"at": changed} if (changed := {key: item for key, item in inner.items() if item}) else {}
    return {} if _is_same(old, new) else {"is": new}


def _is_same(old: Json, new: Json) -> bool:
    """Of one type. 0.0 and -0.0 are two values as well."""
    return canonical(old) == canonical(new) if isinstance(new, float | list) else bool(old == new)


def apply(value: Json, patch: Patch) -> Json:
    if "is" in patch:
        return patch["is"]
    if "json" in patch:
        return json.loads(patch["json"])
    at: Mapping[str, Patch] = patch.get("at", {})
    if isinstance(value, list):
        return [apply(item, at.get(str(index), {})) for index, item in enumerate(value)]
    if isinstance(value, dict):
        gone = set(patch.get("without", ()))
        kept = {key: apply(item, at.get(key, {})) for key, item in value.items() if key not in gone}
        return kept | {key: inner["is"] for key, inner in at.items() if key not in value}
    return value
