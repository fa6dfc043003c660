"""Folders that are written whole."""

from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.model.folders import built_whole


def test_two_cannot_write_the_same_folder(tmp_path: Path) -> None:
    with built_whole(tmp_path / "model") as folder:
        (folder / "config.json").write_text("{}")
        with pytest.raises(SetupError, match="being written by another process"), built_whole(tmp_path / "model"):
            pass
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "config.json").exists()
