"""Names and passwords of people who may open the page: the file of `--gradio-auth-path`.

FastChat's format, `USER:PASSWORD` by comma or line. In place of the password may stand its hash, as
`fastchat keys password USER` prints it: `USER:scrypt:16384:8:5:SALT:HASH` (cost, block size, parallelism; hexadecimal).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from fastchat.core.errors import SetupError

_COST, _BLOCK, _PARALLEL = 2**14, 8, 5  # what OWASP advises for 16 MiB
_MOST_MEMORY = 256 * 2**20
_HASHED = re.compile(r"scrypt:(\d{1,8}):(\d{1,3}):(\d{1,2}):([0-9a-f]{16,128}):([0-9a-f]{64})")


def hash_password(password: str) -> str:
    """`scrypt:…`, to stand in the file instead of the password."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _COST, _BLOCK, _PARALLEL)
    return f"scrypt:{_COST}:{_BLOCK}:{_PARALLEL}:{salt.hex()}:{digest.hex()}"


class Passwords:
    """User → password or its hash. An empty one knows nobody."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries = dict(entries)
        hashed = next((entry for entry in entries.values() if _HASHED.fullmatch(entry)), "")
        # An unknown name is checked against this, so that it takes as long as a known one.
        self._decoy = re.sub("[0-9a-f]{64}$", "0" * 64, hashed) or secrets.token_hex()

    @classmethod
    def load(cls, path: str) -> Self:
        """
        Raises:
            SetupError: the file cannot be read, or an entry is not `USER:PASSWORD`. No entry is shown: it may be one.
        """
        try:
            text = Path(path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"--gradio-auth-path {path}: {error}.") from None
        written = [entry.strip() for line in text.splitlines() for entry in line.split(",") if entry.strip()]
        if not written:
            raise SetupError(f"--gradio-auth-path {path} is empty. Write USER:PASSWORD, one a line.")
        entries: dict[str, str] = {}
        for number, entry in enumerate(written, 1):
            user, _, password = entry.partition(":")
            problem = _problem(user, password, entries)
            if problem:
                raise SetupError(f"--gradio-auth-path {path}: entry {number} {problem}.")
            entries[user] = password
        return cls(entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __contains__(self, user: str) -> bool:
        return user in self._entries

    def matches(self, user: str, password: str) -> bool:
        """Takes a tenth of a second and 16 MiB where hashes are kept: call it in a thread."""
        is_right = _is(password, self._entries.get(user, self._decoy))
        return is_right and user in self._entries

    def mark(self, user: str) -> str | None:
        """Changes with the password; None for a stranger. To be hashed with a key before it leaves the server."""
        return self._entries.get(user)


def _problem(user: str, password: str, others: Mapping[str, str]) -> str | None:
    if not (user and password):
        return "is not USER:PASSWORD"
    if user in others:
        return "names a user a second time"
    if password.startswith("scrypt:") and not _is_hash(password):
        return "is a damaged hash. Make it again with: fastchat keys password USER"
    return None


def _is_hash(entry: str) -> bool:
    found = _HASHED.fullmatch(entry)
    if not found:
        return False
    cost, block, parallel = (int(number) for number in found.groups()[:3])
    is_power_of_two = cost > 1 and cost & (cost - 1) == 0
    return is_power_of_two and block > 0 and parallel > 0 and 128 * cost * block <= _MOST_MEMORY


def _is(password: str, entry: str) -> bool:
    found = _HASHED.fullmatch(entry)
    if found is None:  # hashed, so that not even the length shows in the time
        given, kept = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (password, entry))
        return hmac.compare_digest(given, kept)
    cost, block, parallel = (int(number) for number in found.groups()[:3])
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(found[4]), cost, block, parallel).hex(), found[5])


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost,
        r=block,
        p=parallel,
        dklen=32,
        maxmem=_MOST_MEMORY + 2**20,
    )
