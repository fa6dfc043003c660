import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import InvalidRequest
from fastchat.terminal.conversation import Conversation
from fastchat.terminal.saved import file_of, load, save

FASTCHAT = {
    "template_name": "vicuna_v1.1",
    "system_message": "A chat.",
    "roles": ["USER", "ASSISTANT"],
    "messages": [["USER", "Hi"], ["ASSISTANT", "Hello"], ["USER", ["Look", ["3f2a"]]], ["ASSISTANT", None]],
    "offset": 0,
}


@pytest.mark.parametrize(
    ("name", "file"), [("chat", "chat.json"), ("chat.txt", "chat.txt"), ("../a.b/chat", "chat.json")]
)
def test_a_name_without_a_dot_gets_an_ending(name: str, file: str) -> None:
    assert file_of(name).name == file


def test_fastchats_own_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(FASTCHAT))
    _, conversation = load(f"{tmp_path}/old")
    assert conversation == Conversation(
        "A chat.", [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    )


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    conversation = Conversation("Sei höflich.")
    conversation.ask("漢字?", ["data:image/png;base64,AA=="])
    conversation.add_answer("Ja.")
    save(conversation, f"{tmp_path}/c", "m")
    assert load(f"{tmp_path}/c.json")[1] == conversation


def test_a_list_of_openais_messages_with_a_system_message_is_read(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    (tmp_path / "c.json").write_text(json.dumps({"messages": messages}))
    assert load(str(tmp_path / "c.json"))[1] == Conversation("S", messages[1:])


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "3", '{"messages": 3}', '{"messages": [{"role": "x", "content": ""}]}'),
        '{"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)
    with pytest.raises(InvalidRequest, match="holds no conversation"):
        load(f"{tmp_path}/c")


@pytest.mark.parametrize("act", [load, lambda name: save(Conversation(), name, "m")])
def test_a_place_that_does_not_exist_is_named(tmp_path: Path, act: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"nowhere/c\.json cannot be"):
        act(f"{tmp_path}/nowhere/c")


def test_half_a_character_is_saved_as_a_question_mark(tmp_path: Path) -> None:
    conversation = Conversation()
    conversation.ask("a\ud83d")
    conversation.add_answer("b")
    save(conversation, f"{tmp_path}/c", "m")
    assert load(f"{tmp_path}/c")[1].messages[0]["content"] == "a?"


def test_only_a_conversation_or_an_empty_file_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear to me")
    (tmp_path / "empty.json").touch()
    with pytest.raises(InvalidRequest, match=r"notes\.txt is there already and holds no conversation"):
        save(Conversation(), f"{tmp_path}/notes.txt", "m")
    assert (tmp_path / "notes.txt").read_text() == "dear to me"
    for _ in range(2):
        save(Conversation("S"), f"{tmp_path}/empty", "m")
    assert load(f"{tmp_path}/empty")[1].system == "S"


@pytest.mark.parametrize("name", ["/", "~nobody-of-this-name/c"])
def test_a_place_nobody_can_write_to_is_refused_in_words(name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be written"):
        save(Conversation(), name, "m")
