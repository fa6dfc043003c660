"""Calls as a server sees them."""

from collections.abc import Iterable
from typing import Any


def call(
    *headers: tuple[str, str],
    peer: str | None = "203.0.113.7",
    method: str = "GET",
    path: str = "/",
    scheme: str = "http",
) -> dict[str, Any]:
    """An ASGI scope."""
    return {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": list(_encoded(headers)),
        "client": (peer, 4711) if peer else None,
    }


def _encoded(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[bytes, bytes]]:
    return ((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
