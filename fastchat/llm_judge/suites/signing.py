"""Ed25519 keys of those who publish suites and results: a PEM file for its owner, one line of base64 for the others."""

import base64
import binascii
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.core.naming import give_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SigningKey:
    """Holds a private key."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key

    @classmethod
    def create(cls, file: Path) -> "SigningKey":
        """A new one, in a file that its owner alone can read.

        Raises:
            SetupError: the file is there already, or cannot be written.
            MissingPackage: `cryptography` is not installed.
        """
        _need_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = Ed25519PrivateKey.generate()
        draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
                opened.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            give_name(draft, file)
        except FileExistsError:
            raise SetupError(f"{file} is there already. Give another name; who signs with a key keeps it.") from None
        except OSError as error:
            raise SetupError(f"The key {file} cannot be written: {error.strerror or error}.") from None
        finally:
            draft.unlink(missing_ok=True)
        return cls(key)

    @classmethod
    def read(cls, file: Path) -> "SigningKey":
        """
        Raises:
            SetupError: the file cannot be read, others can read it, or it holds no such key.
            MissingPackage: `cryptography` is not installed.
        """
        _need_cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            mode, pem = stat.S_IMODE(file.stat().st_mode), file.read_bytes()
        except OSError as error:
            raise SetupError(f"The key {file} cannot be read: {error.strerror or error}.") from None
        if os.name != "nt" and mode & 0o077:
            raise SetupError(f"Others can read the key {file}, and could sign with it: chmod 600 {file}")
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SetupError(f"{file} holds no Ed25519 private key as PEM without a password.")
        return cls(key)

    @property
    def public(self) -> str:
        """What others check signatures with: 44 characters of base64."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return base64.b64encode(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()

    def sign(self, data: bytes) -> str:
        return base64.b64encode(self._key.sign(data)).decode()


def has_signed(public_key: str, signature: str, data: bytes) -> bool:
    """
    Raises:
        SetupError: `public_key` is none.
        MissingPackage: `cryptography` is not installed.
    """
    _need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.strip(), validate=True))
    except (ValueError, binascii.Error):
        raise SetupError(
            f"{public_key[:60]!r} is no Ed25519 public key. It is 44 characters of base64, as its owner publishes it."
        ) from None
    try:
        key.verify(base64.b64decode(signature, validate=True), data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise MissingPackage("cryptography", "llm_judge", "Signing suites, and checking their signatures,") from None
