import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from fastchat.access.keys import KeyRing
from fastchat.access.passwords import Passwords, hash_password
from fastchat.access.people import Person, Role
from fastchat.commands import keys
from fastchat.core.errors import SetupError


def load(tmp_path: Path, text: str) -> Passwords:
    file = tmp_path / "logins"
    file.write_text(text, "utf-8")
    return Passwords.load(str(file))


@pytest.mark.parametrize("text", ["ada:enigma,bob:b:c", "ada:enigma\nbob:b:c\n", " ada:enigma ,\n\n bob:b:c"])
def test_fastchats_files_work(tmp_path: Path, text: str) -> None:
    passwords = load(tmp_path, text)
    assert passwords.matches("ada", "enigma")
    assert passwords.matches("bob", "b:c")
    for user, password in [("ada", "b:c"), ("ada", ""), ("ada", "enigma "), ("", ""), ("eve", "enigma")]:
        assert not passwords.matches(user, password)


def test_a_hash_stands_in_for_the_password(tmp_path: Path) -> None:
    hashed = hash_password("schlüssel, with: all")
    assert "schl" not in hashed
    passwords = load(tmp_path, f"ada:{hashed},bob:plain")
    assert passwords.matches("ada", "schlüssel, with: all")
    assert passwords.matches("bob", "plain")
    assert not passwords.matches("ada", "schlüssel")
    assert not passwords.matches("ada", hashed)  # who reads the file cannot sign in with what he reads
    assert hash_password("x") != hash_password("x")


@pytest.mark.parametrize("user", ["ada", "eve"])
def test_a_stranger_costs_as_much_work_as_somebody_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    passwords = load(tmp_path, f"ada:{hash_password('x')}")
    asked: list[tuple[int, int, int]] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **costs: Any) -> bytes:
        asked.append((costs["n"], costs["r"], costs["p"]))
        return scrypt(password, **costs)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    assert not passwords.matches(user, "wrong")
    assert len(asked) == 1
    assert asked[0][0] >= 2**14


@pytest.mark.parametrize(
    "entry",
    [
        "secret",
        ":secret",
        "ada:",
        "bob:other",  # bob is there already
        "ada:scrypt:16384:8:5:00",  # cut off
        "ada:scrypt:16383:8:5:" + "0" * 32 + ":" + "0" * 64,  # no power of two
        "ada:scrypt:99999999:8:5:" + "0" * 32 + ":" + "0" * 64,
    ],
)
def test_an_entry_that_is_none_is_refused_unseen(tmp_path: Path, entry: str) -> None:
    with pytest.raises(SetupError, match="entry 2") as refused:
        load(tmp_path, f"bob:x\n{entry}\n")
    assert "secret" not in refused.value.message
    assert "scrypt:" not in refused.value.message


@pytest.mark.parametrize("text", ["", " \n,\n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SetupError, match="empty"):
        load(tmp_path, text)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SetupError, match="/nowhere/logins"):
        Passwords.load("/nowhere/logins")


def test_the_command_makes_a_line_for_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("enigma\n"))
    keys.main(["password", "ada"])
    printed = capsys.readouterr().out
    assert "enigma" not in printed
    assert load(tmp_path, printed).matches("ada", "enigma")


def test_the_command_wants_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(SetupError, match="No password"):
        keys.main(["password", "ada"])


def test_the_command_makes_keys_with_a_role(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys"
    keys.main(["new", "ada", "--role", "admin", "--file", str(file)])
    keys.main(["new", "bob", "--file", str(file)])
    ada, bob = capsys.readouterr().out.split()
    assert file.stat().st_mode & 0o777 == 0o600
    ring = KeyRing.load(file=str(file))
    assert ring.holder(ada) == Person("ada", Role.ADMIN)
    assert ring.holder(bob) == Person("bob", Role.VOTER)
    assert ring.owner(ada) == "ada"
    assert file.read_text().splitlines()[1].count(":") == 2  # as an older version reads it
