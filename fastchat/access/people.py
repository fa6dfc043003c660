"""Who calls, as the rest of the program sees it. Where people come from stands in `directory`."""

from dataclasses import dataclass
from enum import StrEnum

from fastchat.core.errors import AuthenticationFailed, PermissionDenied


class Role(StrEnum):
    VOTER = "voter"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody we know by name: from the logins file, from the keys file, or by an e-mail address."""

    name: str
    role: Role = Role.VOTER


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever made a call, with or without a name. Holds nothing that finds a person but `person`."""

    voter_key: str  # keyed hash of the person's name, else of the browser's cookie
    address_hash: str
    person: Person | None = None

    @property
    def role(self) -> Role:
        return self.person.role if self.person else Role.VOTER

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def require_admin(self) -> Person:
        """
        Raises:
            AuthenticationFailed: nobody is signed in.
            PermissionDenied: somebody else is.
        """
        if self.person is None:
            raise AuthenticationFailed("This is for admins. Sign in first.")
        if not self.is_admin:
            raise PermissionDenied(f"This is for admins, and {self.person.name} is none.")
        return self.person
