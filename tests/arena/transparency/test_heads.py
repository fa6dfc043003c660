"""The log's key on disk, the key as it is published, and what a signature covers."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import TypeAdapter, ValidationError

from fastchat.arena.transparency.encoding import canonical_json
from fastchat.arena.transparency.heads import LogKey, SignedTreeHead, Signer
from fastchat.core.errors import SetupError
from tests.arena.transparency.example import signer

ROOT = bytes(range(32))


def elliptic_pem() -> bytes:
    public = generate_private_key(SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "new" / "log.key"
    first = Signer.load(file)
    assert Signer.load(file).public.raw == first.public.raw
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["log.key"]


def test_a_key_is_private_whatever_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        Signer.load(tmp_path / "log.key")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "log.key").stat().st_mode) == 0o600


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: Signer.load(tmp_path / "log.key").public.raw, range(16)))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["log.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "log.key"
    Signer.load(file)
    file.chmod(mode)
    with pytest.raises(SetupError, match="chmod 600"):
        Signer.load(file)


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secret as Kubernetes mounts it: links to a file that this process's group may read and nobody may change."""
    kept = tmp_path / "..2026_01_31" / "log.key"
    Signer.load(kept)
    kept.chmod(0o440)
    (tmp_path / "..data").symlink_to(kept.parent)
    (tmp_path / "log.key").symlink_to(Path("..data/log.key"))

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    return tmp_path / "log.key"


def test_a_key_that_was_put_there_for_the_group_is_taken_with_a_warning(
    mounted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Signer.load(mounted)
    assert "can be read by its group (mode 0440)" in caplog.text
    assert Signer.load(mounted).public.raw == first.public.raw
    assert mounted.is_symlink()


@pytest.mark.parametrize("mode", [0o444, 0o460])
def test_a_key_that_the_world_reads_or_the_group_writes_is_refused_all_the_same(mounted: Path, mode: int) -> None:
    mounted.chmod(mode)
    with pytest.raises(SetupError, match="Others can read"):
        Signer.load(mounted)


def test_a_key_is_made_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    first = Signer.load(tmp_path / "log.key")
    assert Signer.load(tmp_path / "log.key").public.raw == first.public.raw
    assert stat.S_IMODE((tmp_path / "log.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["log.key"]


@pytest.mark.parametrize("content", [b"", b"not a key", elliptic_pem()])
def test_a_file_that_is_no_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "log.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(SetupError, match="backup"):
        Signer.load(file)
    assert file.read_bytes() == content


def test_a_key_with_a_password_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    locked = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    elliptic = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for number, pem in enumerate((locked, elliptic)):
        file = tmp_path / str(number)
        file.write_bytes(pem)
        file.chmod(0o600)
        with pytest.raises(SetupError, match="Ed25519 private key"):
            Signer.load(file)


def test_a_place_where_no_key_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"file/log\.key"):
        Signer.load(tmp_path / "file" / "log.key")
    with pytest.raises(SetupError, match="cannot be read"):
        Signer.load(tmp_path)


def test_the_public_key_is_read_in_every_form() -> None:
    public = signer().public
    for form in (public.raw, public.text, public.text.encode(), f" {public.text}\n", public.pem, public.pem.encode()):
        assert LogKey.read(form).raw == public.raw
    assert "\n" not in public.text


@pytest.mark.parametrize("given", ["", "????", "AAAA", b"\xff" * 31, "ü" * 44, elliptic_pem(), "-----BEGIN nothing"])
def test_what_is_no_public_key_is_refused_in_words(given: str | bytes) -> None:
    with pytest.raises(SetupError, match="BEGIN PUBLIC KEY"):
        LogKey.read(given)


def test_what_a_signature_covers() -> None:
    key = signer()
    head = key.sign(7, ROOT, 5)
    assert head.signed_bytes == b"fastchat-vote-log/1 tree head\n" + canonical_json(
        {"tree_size": 7, "root_hash": ROOT.hex(), "signed_at": 5.0, "log_id": key.public.log_id.hex()}
    )
    assert key.public.has_signed(head)
    for other in (
        replace(head, tree_size=8),
        replace(head, root_hash=bytes(32)),
        replace(head, signed_at=5.000001),
        replace(head, signed_at=float("nan")),
        replace(head, log_id=bytes(32)),
        replace(head, signature=bytes(64)),
        replace(head, signature=b""),
    ):
        assert not key.public.has_signed(other)
    assert not signer(2).public.has_signed(head)
    assert not signer(2).public.has_signed(replace(head, log_id=signer(2).public.log_id))


def test_a_signature_for_something_else_is_none_for_a_head() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    head = Signer(private).sign(7, ROOT, 5.0)
    without_domain = head.signed_bytes.partition(b"\n")[2]
    assert not LogKey(private.public_key()).has_signed(replace(head, signature=private.sign(without_domain)))


def test_a_head_names_the_log_whose_key_signed_it() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    head = replace(Signer(private).sign(7, ROOT, 5.0), log_id=signer(2).public.log_id)
    head = replace(head, signature=private.sign(head.signed_bytes))
    assert not LogKey(private.public_key()).has_signed(head)


def test_a_head_travels_as_json() -> None:
    adapter = TypeAdapter(SignedTreeHead)
    head = signer().sign(7, ROOT, 5.25)
    assert adapter.validate_json(adapter.dump_json(head)) == head
    assert adapter.dump_python(head, mode="json") == head.as_json()


@pytest.mark.parametrize(
    "change",
    [{"root_hash": "00"}, {"signature": "zz" * 64}, {"tree_size": -1}, {"tree_size": "7"}, {"note": "trust me"}],
)
def test_json_that_is_no_head_is_refused(change: dict[str, object]) -> None:
    given = signer().sign(7, ROOT, 5.25).as_json() | change
    with pytest.raises(ValidationError, match=next(iter(change))):
        TypeAdapter(SignedTreeHead).validate_json(canonical_json(given))
