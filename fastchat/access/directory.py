"""Everybody we know: people with a password, owners of keys, and those whom an OpenID provider vouches for.

A name means the same person wherever it comes from: the files are the operator's, and a provider's names are e-mail
addresses that it has verified.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from fastchat.access.keys import KeyRing
from fastchat.access.passwords import Passwords
from fastchat.access.people import Person, Role
from fastchat.access.secret import keyed_hash


class Source(StrEnum):
    PASSWORD = "password"
    OIDC = "oidc"


class SignedIn(NamedTuple):
    """What a session says of its owner."""

    person: Person
    source: Source


@dataclass(frozen=True, slots=True)
class Directory:
    passwords: Passwords = field(default_factory=lambda: Passwords({}))
    ring: KeyRing = field(default_factory=lambda: KeyRing({}))
    admins: Collection[str] = ()  # names that are admins, whatever else is said of them
    has_oidc: bool = False

    @property
    def asks_for_login(self) -> bool:
        """Whether there is any way to sign in."""
        return bool(self.passwords) or self.has_oidc

    def by_password(self, user: str, password: str) -> Person | None:
        """Slow on purpose: call it in a thread."""
        return self._person(Person(user)) if self.passwords.matches(user, password) else None

    def by_key(self, key: str) -> Person | None:
        holder = self.ring.holder(key)
        return self._person(holder) if holder else None

    def by_provider(self, person: Person) -> Person:
        return self._person(person)

    def session_of(self, signed_in: SignedIn, key: bytes) -> dict[str, Any]:
        """What `by_session` needs to know the person again."""
        person, source = signed_in
        return {
            "name": person.name,
            "source": source,
            "role": person.role,
            "mark": self._mark(person.name, key) if source is Source.PASSWORD else None,
        }

    def by_session(self, session: dict[str, Any], key: bytes) -> Person | None:
        """None where the person has left the file, has another password, or came by a way that is closed now."""
        name, source = session["name"], session["source"]
        if source == Source.PASSWORD:
            return self._person(Person(name)) if session["mark"] == self._mark(name, key) is not None else None
        return self._person(Person(name, Role(session["role"]))) if source == Source.OIDC and self.has_oidc else None

    def _mark(self, user: str, key: bytes) -> str | None:
        entry = self.passwords.mark(user)
        return None if entry is None else keyed_hash(key, "password mark", f"{user}\0{entry}")

    def _person(self, person: Person) -> Person:
        is_admin = _folded(person.name) in map(_folded, self.admins)
        return Person(person.name, Role.ADMIN) if is_admin else person


def _folded(name: str) -> str:
    """E-mail addresses are the same in capitals, for all that their owners know."""
    return name.lower() if "@" in name else name
