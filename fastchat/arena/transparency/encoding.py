"""One spelling for what is hashed and signed: canonical JSON, and bytes as hex where people and JSON see them."""

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema


def canonical_json(value: Mapping[str, object]) -> bytes:
    """Sorted keys, no spaces, UTF-8; floats as Python's repr, the shortest text that gives the same number again.

    What people type may hold half a surrogate pair, which UTF-8 has no bytes for; it is hashed all the same.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")


def _from_hex(value: object) -> object:
    return bytes.fromhex(value) if isinstance(value, str) else value


_HEX = (BeforeValidator(_from_hex), PlainSerializer(bytes.hex, return_type=str, when_used="json"))

Hash = Annotated[
    bytes, *_HEX, Field(min_length=32, max_length=32), WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})
]
Signature = Annotated[
    bytes, *_HEX, Field(min_length=64, max_length=64), WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{128}$"})
]
