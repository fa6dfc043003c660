"""API keys, kept as hashes and compared in constant time.

A keys file has one line a key, `NAME:sha256:HEX` or `NAME:sha256:HEX:ROLE`; `fastchat keys new NAME` makes them. A
plain SHA-256 is enough, since our keys carry 192 random bits; keys people think of themselves come by flag or
environment and are hashed at once. Whoever is not said to be more is a voter.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from fastchat.access.people import Person, Role
from fastchat.core.errors import AuthenticationFailed, SetupError
from fastchat.core.http import header


class NewKey(NamedTuple):
    key: str  # shown once
    line: str  # for the keys file


def new_key(name: str, role: Role = Role.VOTER) -> NewKey:
    key = f"sk-{secrets.token_urlsafe(24)}"
    suffix = "" if role is Role.VOTER else f":{role}"
    return NewKey(key, f"{name}:sha256:{_digest(key)}{suffix}")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class KeyRing:
    """Digest → the key's owner. An empty ring lets everybody in."""

    def __init__(self, owners: Mapping[str, Person]) -> None:
        self._owners = dict(owners)

    @classmethod
    def load(cls, keys: Iterable[str] = (), file: str | None = None) -> Self:
        """
        Raises:
            SetupError: the file cannot be read, or a line is not a key.
        """
        owners = {_digest(key): Person(f"key-{number}") for number, key in enumerate(keys, 1)}
        return cls(owners | (_read(Path(file)) if file is not None else {}))

    def __bool__(self) -> bool:
        return bool(self._owners)

    def owner(self, key: str) -> str | None:
        """The name of whoever holds this key."""
        person = self.holder(key)
        return person.name if person else None

    def holder(self, key: str) -> Person | None:
        """Whoever holds this key. Takes the same time whichever key matches, or none."""
        given = _digest(key)
        found = None
        for digest, person in self._owners.items():
            if hmac.compare_digest(digest, given):
                found = person
        return found


def _read(file: Path) -> dict[str, Person]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"The keys file {file} cannot be read: {error}.") from None
    owners = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if not found:
            raise SetupError(
                f"{file}:{number} is not a key; a line reads NAME:sha256:HEX, or NAME:sha256:HEX:ROLE with the role "
                f"{' or '.join(Role)}. Make one with: fastchat keys new NAME"
            )
        owners[found["digest"].lower()] = Person(found["name"], Role(found["role"] or Role.VOTER))
    if not owners:
        raise SetupError(f"The keys file {file} holds no key, so nobody could call. Make one: fastchat keys new NAME")
    return owners


_LINE = re.compile(rf"(?P<name>.*):sha256:(?P<digest>[0-9a-fA-F]{{64}})(:(?P<role>{'|'.join(Role)}))?")


class KeyGuard:
    """Lets calls under `prefixes` through if they show a key of the ring: OpenAI's bearer token or `x-api-key`."""

    def __init__(self, app: ASGIApp, ring: KeyRing, prefixes: tuple[str, ...]) -> None:
        self._app = app
        self._ring = ring
        self._prefixes = prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._ring and scope["type"] == "http" and scope["path"].startswith(self._prefixes):
            scope["key_owner"] = self._owner(scope)
        await self._app(scope, receive, send)

    def _owner(self, scope: Scope) -> str:
        key = shown_key(scope)
        if not key:
            raise AuthenticationFailed("No API key was given. Send it as: Authorization: Bearer KEY.")
        owner = self._ring.owner(key)
        if owner is None:
            raise AuthenticationFailed("The API key is not one of this server's keys.")
        return owner


def shown_key(scope: Scope) -> str:
    authorization = (header(scope, b"authorization") or b"").decode("latin-1")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return (header(scope, b"x-api-key") or b"").decode("latin-1")
