import os
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.model.derived import derived


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))


def test_a_copy_is_made_once_for_each_state_of_a_file(tmp_path: Path) -> None:
    source, made = tmp_path / "model.gguf", []

    def make(target: Path) -> None:
        made.append(target)
        target.write_bytes(source.read_bytes())

    source.write_text("one")
    first = derived(source, ".copy", make)
    assert derived(source, ".copy", make) == first
    assert len(made) == 1
    source.write_text("other")
    os.utime(source, (0, 0))
    second = derived(source, ".copy", make)
    assert (first.read_text(), second.read_text()) == ("one", "other")


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    source = tmp_path / "model.gguf"
    source.write_text("one")

    def fail(_: Path) -> None:
        raise SetupError("no room")

    with pytest.raises(SetupError, match="no room"):
        derived(source, ".copy", fail)
    assert derived(source, ".copy", lambda target: target.write_text("made")).read_text() == "made"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no file"):
        derived(tmp_path / "nothing", ".copy", lambda _: None)
