from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastchat.access.cookies import seal, unseal
from fastchat.access.secret import keyed_hash, load_key
from fastchat.core.errors import SetupError

KEY = b"k" * 32


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "data" / "access-key"
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_key(file), range(16)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["access-key"]


@pytest.mark.parametrize("content", ["", "no hex", "abcd"])
def test_a_damaged_secret_is_not_silently_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / "access-key"
    file.write_text(content)
    with pytest.raises(SetupError, match="access-key"):
        load_key(file)
    assert file.read_text() == content


def test_a_hash_belongs_to_its_key_and_purpose() -> None:
    hashes = {
        keyed_hash(*given) for given in [(KEY, "a", "bc"), (KEY, "ab", "c"), (b"other", "a", "bc"), (KEY, "a", "b")]
    }
    assert len(hashes) == 4


def test_a_seal_holds_until_its_time_and_for_its_purpose() -> None:
    sealed = seal({"name": "ada"}, key=KEY, purpose="session", expires_at=100)
    opened = unseal(sealed, key=KEY, purpose="session", now=99)
    assert opened is not None
    assert opened["name"] == "ada"
    assert unseal(sealed, key=KEY, purpose="session", now=100) is None
    assert unseal(sealed, key=KEY, purpose="other", now=99) is None
    assert unseal(sealed, key=b"other", purpose="session", now=99) is None


@pytest.mark.parametrize("sealed", [None, "", ".", "e30", "e30.", "e30.00", "é.ü", "e30.e30.e30"])
def test_what_was_not_sealed_is_nothing(sealed: str | None) -> None:
    assert unseal(sealed, key=KEY, purpose="session", now=0) is None
