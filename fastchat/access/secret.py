"""One secret of the installation, and what is made with it: hashes that stand for a person or a place, signatures.

A purpose goes into each, so that what was made for one is worth nothing for another.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from fastchat.core.errors import SetupError
from fastchat.core.naming import give_name

_BYTES = 32


def keyed_hash(key: bytes, purpose: str, text: str) -> str:
    """HMAC-SHA256, its first 128 bits as 32 hex digits. Without the key nobody finds the text by trying them all."""
    return _mac(key, purpose, text).hex()[:32]


def signature(key: bytes, purpose: str, text: str) -> str:
    """The whole HMAC-SHA256, for `hmac.compare_digest`."""
    return _mac(key, purpose, text).hex()


def _mac(key: bytes, purpose: str, text: str) -> bytes:
    return hmac.new(key, f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def load_key(file: Path) -> bytes:
    """The secret in this file, which is made (mode 0600) if it is not there.

    Raises:
        SetupError: the file cannot be read or made, or holds something else.
    """
    try:
        key = _make(file) if not file.exists() else bytes.fromhex(file.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise SetupError(f"The secret in {file} cannot be used: {error}.") from None
    if len(key) != _BYTES:
        raise SetupError(
            f"{file} does not hold {2 * _BYTES} hex digits. Put the right file back, or delete it for a new one."
        )
    return key


def _make(file: Path) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = secrets.token_bytes(_BYTES)
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(key.hex())
        give_name(part, file)  # unlike a rename, leaves alone what another process has made meanwhile
    except FileExistsError:
        return bytes.fromhex(file.read_text("ascii"))
    finally:
        part.unlink(missing_ok=True)
    return key
