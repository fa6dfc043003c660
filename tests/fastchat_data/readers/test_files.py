"""Records are read one by one, whatever the file, and what is wrong is said with its place."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.readers import files
from fastchat.data.readers.files import read_records

ROWS: list[dict[str, Any]] = [{"a": 1, "t": "x" * 50}, {"a": 2, "t": 'ä "[{\\ \n'}, {"a": 3, "t": [1, {"b": []}]}]


def values(file: Path) -> list[dict[str, Any]]:
    return [record.fields for record in read_records(file)]


@pytest.mark.parametrize("chunk", [1, 7, 64, 2**20])
@pytest.mark.parametrize("text", [json.dumps(ROWS), json.dumps(ROWS, indent=2), "\ufeff" + json.dumps(ROWS) + "\n"])
def test_a_list_is_read_wherever_a_chunk_ends(
    tmp_path: Path, text: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_CHUNK", max(chunk, 8) if text.startswith("\ufeff") else chunk)
    file = tmp_path / "rows.json"
    file.write_text(text, "utf-8")
    assert values(file) == ROWS


def test_lines_and_packed_files_need_no_ending(tmp_path: Path) -> None:
    lines = "\n".join(map(json.dumps, ROWS)) + "\n\n"
    (tmp_path / "rows.txt").write_text(lines)
    (tmp_path / "rows.data").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    assert values(tmp_path / "rows.txt") == values(tmp_path / "rows.data") == ROWS


def test_parquet(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    rows = [{"id": "1", "conversations": [{"from": "human", "value": "Hi"}]}]
    polars.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")
    assert values(tmp_path / "rows.parquet") == rows


@pytest.mark.parametrize("row", [b'[{"t": "\\ud83d!"}]', b'{"t": "\\ud83d!"}\n', b'[{"t": "\\uD83D!"}]'])
def test_half_a_character_becomes_the_sign_for_that(tmp_path: Path, row: bytes) -> None:
    (tmp_path / "rows.json").write_bytes(row)
    assert values(tmp_path / "rows.json") == [{"t": "\ufffd!"}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"hello", "begins with 'hello'"),
        (b'[{"a": 1}, 7]', "record 2 is no JSON object, but 7"),
        (b'[{"a": 1}, {"b": }]', "record 2 is not JSON"),
        (b'[{"a": 1}, {"b": "x', "record 2 is not JSON"),
        (b'[{"a": 1},', "ends after record 1"),
        (b'[{"a": 1}] [{"a": 2}]', "behind the list"),
        (b'{"a": 1}\n{"a"\n', "rows:2: is not JSON"),
        (b'{\n"a": 1}\n', "Put it into a list"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"a": "\xff"}]', "is not text in UTF-8"),
        (b"\x1f\x8b\x08\x00", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "rows"
    file.write_bytes(content)
    with pytest.raises(SetupError, match=re.escape(told)):
        values(file)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match=r"There is no file|is a folder"):
        values(tmp_path / name)
