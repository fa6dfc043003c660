"""Signed tree heads: the operator's word, with Ed25519, on what the log held at a size.

One key is one log. A lost or leaked key ends the log, and another begins; nothing here rotates keys.
"""

import base64
import binascii
import hashlib
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import ConfigDict, Field

from fastchat.arena.transparency.encoding import Hash, Signature, canonical_json
from fastchat.core.errors import SetupError
from fastchat.core.naming import give_name

_log = logging.getLogger(__name__)

_DOMAIN = b"fastchat-vote-log/1 tree head\n"  # so that no other thing we may sign can be taken for a head


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTreeHead:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    tree_size: Annotated[int, Field(ge=0)]
    root_hash: Hash
    signed_at: float  # UTC seconds
    log_id: Hash
    signature: Signature

    def as_json(self) -> dict[str, object]:
        return {
            "tree_size": self.tree_size,
            "root_hash": self.root_hash.hex(),
            "signed_at": float(self.signed_at),
            "log_id": self.log_id.hex(),
            "signature": self.signature.hex(),
        }

    @property
    def signed_bytes(self) -> bytes:
        return _signed_bytes(self.tree_size, self.root_hash, self.signed_at, self.log_id)


@dataclass(frozen=True, slots=True)
class UnreadableHead:
    """A row that stands where a head should, and is none."""

    tree_size: int
    problem: str


def read_head_row(row: Mapping[str, object]) -> SignedTreeHead | UnreadableHead:
    """From a row's columns, which need not be what we wrote; `log_id` is text."""
    size, root_hash, signed_at, signature = (row[name] for name in ("tree_size", "root_hash", "signed_at", "signature"))
    assert isinstance(size, int)  # a primary key
    for name, value, length in (("root_hash", root_hash, 32), ("signature", signature, 64)):
        if not isinstance(value, bytes) or len(value) != length:
            return UnreadableHead(size, f"{name} is {str(value)[:60]!r}; it has {length} bytes")
    if not isinstance(signed_at, int | float):
        return UnreadableHead(size, f"signed_at is {str(signed_at)[:60]!r}; it is a time in seconds")
    try:
        log_id = bytes.fromhex(str(row["log_id"]))
    except ValueError:
        return UnreadableHead(size, f"log_id is {str(row['log_id'])[:70]!r}; it is hexadecimal")
    assert isinstance(root_hash, bytes)
    assert isinstance(signature, bytes)
    return SignedTreeHead(
        tree_size=size, root_hash=root_hash, signed_at=float(signed_at), log_id=log_id, signature=signature
    )


def _signed_bytes(tree_size: int, root_hash: bytes, signed_at: float, log_id: bytes) -> bytes:
    head = {
        "tree_size": tree_size,
        "root_hash": root_hash.hex(),
        "signed_at": float(signed_at),
        "log_id": log_id.hex(),
    }
    return _DOMAIN + canonical_json(head)


class LogKey:
    """The public key of a log, as the operator publishes it and an auditor brings it along."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.log_id = hashlib.sha256(self.raw).digest()

    @classmethod
    def read(cls, given: str | bytes) -> Self:
        """From 32 raw bytes, their base64, or PEM.

        Raises:
            SetupError: it is none of them.
        """
        if isinstance(given, bytes) and len(given) == 32:
            return cls(Ed25519PublicKey.from_public_bytes(given))
        text = given.encode("utf-8", "replace") if isinstance(given, str) else given
        try:
            if b"-----BEGIN" in text:
                key = load_pem_public_key(text)
                if isinstance(key, Ed25519PublicKey):
                    return cls(key)
            else:
                return cls(Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True)))
        except (ValueError, UnsupportedAlgorithm, binascii.Error):
            pass
        raise SetupError(
            f"{text[:60].decode('utf-8', 'replace')!r} is not the public key of a vote log. It is an Ed25519 key: "
            "44 characters of base64, or PEM that begins with -----BEGIN PUBLIC KEY-----."
        )

    @property
    def text(self) -> str:
        """One line that fits into a page or a message."""
        return base64.b64encode(self.raw).decode("ascii")

    @property
    def pem(self) -> str:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def has_signed(self, head: SignedTreeHead) -> bool:
        if head.log_id != self.log_id:
            return False
        try:
            self._key.verify(head.signature, head.signed_bytes)
        except (InvalidSignature, ValueError):  # ValueError: it has a number that JSON has not
            return False
        return True


class Signer:
    """Holds the private key. Sign once for each batch of votes."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = LogKey(key.public_key())

    @classmethod
    def load(cls, file: Path) -> Self:
        """The key in `file`, which is made, for its owner's eyes only, if it is not there.

        One that was put there for this process's group and is not ours to change (a secret mounted into a container)
        is taken, with a warning.

        Raises:
            SetupError: the file cannot be read or made, others can read it, or it holds no such key.
        """
        try:
            if not file.exists():
                _create(file)
            pem = _read_private(file)
        except OSError as error:
            raise SetupError(f"The log's key {file} cannot be read or made: {error.strerror or error}.") from None
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise SetupError(
                f"{file} holds no Ed25519 private key as PEM without a password. Bring back the log's own key from a "
                "backup; with a new one, heads and receipts signed so far no longer belong to this log."
            )
        return cls(key)

    def sign(self, tree_size: int, root_hash: bytes, signed_at: float) -> SignedTreeHead:
        log_id = self.public.log_id
        signature = self._key.sign(_signed_bytes(tree_size, root_hash, signed_at, log_id))
        return SignedTreeHead(
            tree_size=tree_size, root_hash=root_hash, signed_at=float(signed_at), log_id=log_id, signature=signature
        )


def _create(file: Path) -> None:
    """Never over a key that another process made meanwhile."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(pem)
            opened.flush()
            os.fsync(opened.fileno())
        try:
            give_name(draft, file)
        except FileExistsError:
            return
        _sync_folder(file.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """A head signed with a key that a power cut took away could never be checked again."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _can_change_mode(descriptor: int, mode: int) -> bool:
    """Tried with the mode that it has. A secret mounted into a container belongs to another, or may only be read."""
    try:
        os.fchmod(descriptor, mode)
    except OSError:
        return False
    return True


def _read_private(file: Path) -> bytes:
    with file.open("rb") as opened:
        mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
        if os.name != "nt" and mode & 0o077:
            if not mode & 0o037 and not _can_change_mode(opened.fileno(), mode):
                _log.warning(
                    "the log's key %s can be read by its group (mode %04o); it is not ours to change", file, mode
                )
                return opened.read()
            raise SetupError(
                f"Others can read the log's key {file} (mode {mode:04o}), and whoever has it can sign votes. "
                f"Allow only its owner: chmod 600 {file}"
            )
        return opened.read()
