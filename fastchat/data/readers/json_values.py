"""JSON as it is found in files of conversations: quick where it is right, patient where it is nearly so."""

import json
from typing import Any

from fastchat.data.packages import package


def parse(data: bytes) -> Any:
    """Half characters that some web page left behind (a lone `\\ud83d`) become U+FFFD; no file could hold them.

    Raises:
        ValueError: this is no JSON.
    """
    orjson = package("orjson", "Reading conversations")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return repaired(json.loads(data))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def repaired(value: Any) -> Any:
    """The same without lone surrogates."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value
    if isinstance(value, list):
        return [repaired(item) for item in value]
    if isinstance(value, dict):
        return {repaired(key): repaired(item) for key, item in value.items()}
    return value
