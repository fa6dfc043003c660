"""Every format becomes the same records."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.readers.conversations import read_conversations
from tests.fastchat_data.talks import write

HI = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
STATE = {"roles": ["USER", "ASSISTANT"], "offset": 0, "conv_id": "c1", "system_message": ""}


def log_line(kind: str, *said: str) -> dict[str, Any]:
    messages = [[("USER", "ASSISTANT")[at % 2], text] for at, text in enumerate(said)]
    return {"type": kind, "model": "m", "state": {**STATE, "messages": messages}}


TREE = {
    "message_tree_id": "r",
    "prompt": {
        "message_id": "r",
        "role": "prompter",
        "text": "Hi",
        "replies": [
            {
                "message_id": "a",
                "role": "assistant",
                "text": "Hello",
                "replies": [
                    {"message_id": "b", "role": "prompter", "text": "unanswered", "replies": []},
                    {
                        "message_id": "c",
                        "role": "prompter",
                        "text": "More",
                        "replies": [{"message_id": "d", "role": "assistant", "text": "Yes", "replies": []}],
                    },
                ],
            },
            {"message_id": "e", "role": "assistant", "text": "Hello", "replies": []},
            {"message_id": "f", "role": "assistant", "text": "spam", "review_result": False, "replies": []},
        ],
    },
}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("sharegpt", [{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}]),
        ("sharegpt", [{"conversations": [{"from": "user", "value": "Hi"}, {"from": "bard", "value": "Hello"}]}]),
        ("messages", [{"messages": HI}]),
        ("alpaca", [{"instruction": "Hi", "input": "", "output": "Hello"}]),
        ("dolly", [{"instruction": "Hi", "context": "", "response": "Hello", "category": "chat"}]),
        ("fastchat", [log_line("chat", "Hi", "Hello")]),
        ("battles", [{"model_a": "m", "conversation_a": HI, "model_b": "n", "conversation_b": HI}]),
    ],
)
def test_a_format_is_recognised_and_read(tmp_path: Path, name: str, rows: Sequence[Any]) -> None:
    file = write(tmp_path / "rows.json", rows)
    [first, *_] = read_conversations(file)
    assert list(first.messages) == HI
    assert next(read_conversations(file, name)).messages == first.messages


def test_what_is_unknown_is_kept(tmp_path: Path) -> None:
    row = {
        "id": 7,
        "model": "gpt4",
        "system": "Be kind.",
        "weight": 0.5,
        "conversations": [{"from": "human", "value": "Hi", "n": 1}],
    }
    [found] = read_conversations(write(tmp_path / "rows.json", [row]))
    assert (found.id, found.weight, found.extra) == ("7", 0.5, {"model": "gpt4"})
    assert list(found.messages) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi", "n": 1},
    ]


def test_alpaca_puts_questions_together_as_fastchat_did(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "input": "1, 2", "output": "3"}
    [found] = read_conversations(write(tmp_path / "rows.json", [row]))
    assert found.id == "alpaca_0"
    assert found.messages[0]["content"] == "Add.\nInput:\n1, 2"


def test_calls_of_tools_are_openais(tmp_path: Path) -> None:
    said = [
        {"from": "human", "value": "Weather?"},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Oslo"}}'},
        {"from": "observation", "value": "rain"},
        {"from": "gpt", "value": "Rain."},
    ]
    [found] = read_conversations(
        write(tmp_path / "rows.json", [{"conversations": said, "tools": '[{"name": "weather"}]'}])
    )
    assert [message["role"] for message in found.messages] == ["user", "assistant", "tool", "assistant"]
    [call] = found.messages[1]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert list(found.tools) == [{"name": "weather"}]


def test_a_tree_is_a_conversation_for_each_last_answer(tmp_path: Path) -> None:
    found = list(read_conversations(write(tmp_path / "trees.json", [TREE])))
    assert [one.id for one in found] == ["d", "e"]
    assert [message["content"] for message in found[0].messages] == ["Hi", "Hello", "More", "Yes"]


def test_a_log_gives_each_conversation_once_as_long_as_it_became(tmp_path: Path) -> None:
    lines = [log_line("chat", "Hi", "Hello"), log_line("chat", "Hi", "Hello", "More", "Yes"), log_line("upvote", "Hi")]
    [found] = read_conversations(write(tmp_path / "log.json", lines))
    assert (found.id, len(found.messages), found.extra) == ("c1", 4, {"model": "m"})


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"a": 1}, "of no known format; it has the fields a"),
        ({"conversations": "Hi"}, 'record 1: `conversations` has to be a list of messages; found "Hi"'),
        (
            {"conversations": [{"from": "alien", "value": "x"}]},
            r'conversations\[0\].from` is "alien"; known are user, human',
        ),
        ({"conversations": [{"from": "human", "value": None}]}, "has to be a text; found null"),
        ({"conversations": [{"from": "function_call", "value": "go"}]}, '"name" and "arguments"; found "go"'),
        ({"messages": [7]}, "has to be a message; found 7"),
        ({"conversations": [], "tools": "{"}, "`tools` is a text, but not JSON"),
        ({"instruction": 7, "output": ""}, "`instruction` has to be a text; found 7"),
    ],
)
def test_what_is_found_and_what_is_allowed_is_said(tmp_path: Path, row: Any, told: str) -> None:
    with pytest.raises(SetupError, match=told):
        list(read_conversations(write(tmp_path / "rows.json", [row])))


def test_records_that_cannot_be_read_may_be_left_out(tmp_path: Path) -> None:
    bad: list[str] = []
    file = write(tmp_path / "rows.json", [{"messages": HI}, {"messages": 7}, {"messages": HI}])
    found = list(read_conversations(file, None, lambda place, why: bad.append(f"{place}: {why}")))
    assert len(found) == 2
    assert bad == [f"{file}: record 2: `messages` has to be a list of messages; found 7"]


def test_half_a_line_of_a_log_may_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "log.json"
    file.write_text("\n".join([json.dumps(log_line("chat", "Hi", "Hello")), '{"type": "chat", "sta', '{"type"']))
    bad: list[str] = []
    assert len(list(read_conversations(file, None, lambda place, why: bad.append(place)))) == 1
    assert bad == [f"{file}:2", f"{file}:3"]
    with pytest.raises(SetupError, match=":2: is not JSON"):
        list(read_conversations(file))


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="Known: sharegpt, messages"):
        list(read_conversations(tmp_path / "x", "csv"))
