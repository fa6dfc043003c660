"""Cookies: reading them, writing them as we want them, and sealing what the browser must not change.

A sealed value can be read by its owner, so no secret belongs into it.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import cookie_parser
from starlette.types import Scope

from fastchat.access.secret import signature

VOTER, SESSION, SIGNING_IN = "fastchat_voter", "fastchat_session", "fastchat_signing_in"


def read_cookie(scope: Scope, name: str) -> str | None:
    """HTTP/2 may split the header, so all its lines count."""
    lines = [value.decode("latin-1") for key, value in scope["headers"] if key == b"cookie"]
    return cookie_parser("; ".join(lines)).get(name)


def write_cookie(name: str, value: str, *, max_age_s: int, is_secure: bool) -> str:
    """A `Set-Cookie` header. Scripts cannot read the cookie, and other sites' forms and frames are sent without it."""
    flags = "; HttpOnly; SameSite=Lax" + ("; Secure" if is_secure else "")
    return f"{name}={value}; Path=/; Max-Age={max_age_s}{flags}"


def seal(payload: Mapping[str, Any], *, key: bytes, purpose: str, expires_at: float) -> str:
    """JSON with a time and a signature, fit for a cookie."""
    written = json.dumps({**payload, "exp": expires_at}, separators=(",", ":")).encode()
    text = base64.urlsafe_b64encode(written).rstrip(b"=").decode()
    return f"{text}.{signature(key, f'seal {purpose}', text)}"


def unseal(sealed: str | None, *, key: bytes, purpose: str, now: float) -> dict[str, Any] | None:
    """What was sealed with this key for this purpose; None if it was not, or its time is over."""
    text, _, signed = (sealed or "").partition(".")
    # As bytes: a stranger's cookie may hold anything, and `compare_digest` takes text only if it is ASCII.
    if not hmac.compare_digest(signed.encode("utf-8"), signature(key, f"seal {purpose}", text).encode()):
        return None
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return payload if payload["exp"] > now else None
