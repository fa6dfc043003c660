from pathlib import Path

import pytest

from fastchat.arena.records import FilePart, Part, TextPart
from fastchat.web.composer import forget_files, is_blank, parts_of
from fastchat.web.uploads import Uploads
from tests.web.stub_arena import SOMEBODY, StubArena


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path, file_limit=100, total_limit=1000)


def test_there_is_room_until_it_is_full(uploads: Uploads, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 900)
    assert uploads.have_room_for(100)
    assert not uploads.have_room_for(101)


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("/gradio_api/file={folder}/abc/pic.png", True),
        ("/gradio_api/file={folder}/../secret", False),
        ("/gradio_api/file={folder}-other/pic.png", False),
        ("/gradio_api/file=/etc/passwd", False),
        ("/gradio_api/file=http://example.com/", False),
    ],
)
def test_only_what_was_uploaded_can_be_looked_at(uploads: Uploads, path: str, is_one: bool) -> None:
    assert uploads.is_one(path.format(folder=uploads.folder)) is is_one


async def test_a_draft_becomes_parts_files_first(tmp_path: Path) -> None:
    arena = StubArena()
    file = tmp_path / "abc" / "pic.png"
    file.parent.mkdir()
    file.write_bytes(b"pixels")
    draft = {"text": " What? ", "files": [str(file)]}
    parts: list[Part] = await parts_of(arena, SOMEBODY, draft)  # type: ignore[arg-type]
    assert [type(part) for part in parts] == [FilePart, TextPart]
    assert arena.uploaded == [(b"pixels", "image/png", "pic.png")]
    assert file.exists()  # the arena may yet refuse the question
    forget_files(draft)  # type: ignore[arg-type]
    assert not file.parent.exists()


@pytest.mark.parametrize(
    ("text", "files", "blank"), [("", [], True), (" \n", [], True), ("Hi", [], False), ("", ["a"], False)]
)
def test_a_file_alone_is_a_question(text: str, files: list[str], blank: bool) -> None:
    assert is_blank({"text": text, "files": files}) is blank
