from pathlib import Path

import pytest

from fastchat.access.keys import KeyRing, new_key
from fastchat.core.errors import SetupError


def test_a_made_key_opens_and_its_file_does_not_hold_it(tmp_path: Path) -> None:
    made = new_key("anna")
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{made.line}\n")
    assert made.key not in file.read_text()
    ring = KeyRing.load(file=str(file))
    assert ring.owner(made.key) == "anna"
    assert ring.owner(made.key + "x") is None
    assert ring.owner("") is None


def test_keys_given_in_the_clear_work_too() -> None:
    ring = KeyRing.load(["one", "schlüssel"])
    assert ring.owner("schlüssel") == "key-2"
    assert ring.owner("two") is None


def test_no_keys_means_no_lock() -> None:
    assert not KeyRing.load()


def test_a_line_that_is_no_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{new_key('a').line}\nsk-in-the-clear\n")
    with pytest.raises(SetupError, match=r"keys:2 is not a key"):
        KeyRing.load(file=str(file))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nowhere"):
        KeyRing.load(file=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", ["", "# nobody yet\n"])
def test_a_file_without_a_key_does_not_let_everybody_in(tmp_path: Path, content: str) -> None:
    file = tmp_path / "keys"
    file.write_text(content)
    with pytest.raises(SetupError, match="holds no key"):
        KeyRing.load(file=str(file))


def test_a_digest_is_hexadecimal(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"anna:sha256:{'ü' * 64}")
    with pytest.raises(SetupError, match="is not a key"):
        KeyRing.load(file=str(file))


@pytest.mark.parametrize("role", ["root", "", "Admin", "admin:voter"])
def test_a_role_that_is_none_is_refused(tmp_path: Path, role: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{new_key('anna').line}:{role}")
    with pytest.raises(SetupError, match="voter or admin"):
        KeyRing.load(file=str(file))


def test_names_with_colons_of_old_files_stay_valid(tmp_path: Path) -> None:
    made = new_key("team:anna")
    file = tmp_path / "keys"
    file.write_text(made.line.upper().replace("TEAM:ANNA:SHA256", "team:anna:sha256"))
    assert KeyRing.load(file=str(file)).owner(made.key) == "team:anna"
