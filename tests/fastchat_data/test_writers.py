"""What is written can be read again, and a file is whole at every moment."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.readers.conversations import read_conversations
from fastchat.data.records import Conversation
from fastchat.data.writers import Form, write_conversations
from tests.fastchat_data.talks import sharegpt, talk, write

CALL = {"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
RICH = Conversation(
    "r",
    [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Ä? 😀"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "1"},
        {"role": "assistant", "content": "One."},
    ],
    weight=0.5,
    tools=[{"name": "f"}],
    extra={"model": "m"},
)


@pytest.mark.parametrize("form", ["sharegpt", "messages"])
@pytest.mark.parametrize("name", ["out.json", "out.jsonl", "out.json.gz", "out.jsonl.gz"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str, form: Form) -> None:
    file = tmp_path / name
    assert write_conversations(file, [RICH, talk("Hi", "Hello")], form) == 2
    first, second = read_conversations(file)
    assert (first.id, first.weight, first.extra, list(first.tools)) == ("r", 0.5, {"model": "m"}, [{"name": "f"}])
    assert list(first.messages) == list(RICH.messages)
    assert list(second.messages) == list(talk("Hi", "Hello").messages)
    assert list(tmp_path.iterdir()) == [file]


def test_a_list_is_indented_as_fastchat_did(tmp_path: Path) -> None:
    rows = [sharegpt("Hi", "Hellö"), sharegpt("Ja", "Nein")]
    write_conversations(tmp_path / "out.json", read_conversations(write(tmp_path / "in.json", rows)))
    assert (tmp_path / "out.json").read_text("utf-8").rstrip() == json.dumps(rows, indent=2, ensure_ascii=False)


def test_nothing_is_an_empty_list(tmp_path: Path) -> None:
    write_conversations(tmp_path / "out.json", [])
    assert json.loads((tmp_path / "out.json").read_text()) == []


def test_packed_files_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_conversations(tmp_path / name, [RICH])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).count(b"\n") == 1


def test_the_file_that_is_read_may_be_written(tmp_path: Path) -> None:
    file = write(tmp_path / "talks.json", [sharegpt("Hi", "Hello", id=str(n)) for n in range(50)])
    write_conversations(file, (one for one in read_conversations(file) if int(one.id) % 2))
    assert len(list(read_conversations(file))) == 25


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    file.write_text("old")

    def failing() -> Iterator[Conversation]:
        yield RICH
        raise SetupError("wrong")

    with pytest.raises(SetupError, match="wrong"):
        write_conversations(file, failing())
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(("name", "told"), [("no/out.json", "cannot be written: No such file"), (".", "is a folder")])
def test_no_place_to_write(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(SetupError, match=told):
        write_conversations(tmp_path / name, [RICH])
