"""A finished file gets its name only where nothing has it."""

import errno
import os
from pathlib import Path

import pytest

from fastchat.core.naming import give_name


@pytest.fixture(params=["with hard links", "without hard links"])
def draft(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "without hard links":
        monkeypatch.setattr(os, "link", refuse)
    draft = tmp_path / "draft"
    draft.write_text("new")
    return draft


def test_a_draft_gets_its_name(draft: Path, tmp_path: Path) -> None:
    give_name(draft, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_has_the_name_stays(draft: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileExistsError):
        give_name(draft, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"


def test_nothing_is_left_where_the_name_cannot_be_given(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft.unlink()
    with pytest.raises(FileNotFoundError):
        give_name(draft, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
