"""An output is whole at every moment, and takes the place of nothing but an older one."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output


def test_an_older_output_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    for content in (b"old", b"new"):
        write_output(file, content)
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_who_has_the_older_one_open_reads_it_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    write_output(file, b"old")
    with file.open("rb") as reader:
        write_output(file, b"new")
        assert reader.read() == b"old"


def test_a_link_stays_one(tmp_path: Path) -> None:
    file, link = tmp_path / "board.json", tmp_path / "link.json"
    link.symlink_to(file)
    write_output(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        arrived = reader.submit(pipe.read_bytes)
        write_output(pipe, b"new")
        assert arrived.result() == b"new"
    assert pipe.is_fifo()


@pytest.mark.parametrize("place", ["nowhere/board.json", "."])
def test_what_cannot_be_written_is_named_as_it_was_given(tmp_path: Path, place: str) -> None:
    with pytest.raises(SetupError, match="cannot be written: ") as error:
        write_output(tmp_path / place, b"new")
    assert str(tmp_path / place) in error.value.message
    assert list(tmp_path.iterdir()) == []
