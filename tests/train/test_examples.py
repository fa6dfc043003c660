"""Which conversations are trained on, and which are held out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.splitting import split
from fastchat.data.writers import write_conversations
from fastchat.train.chat_format import find_format
from fastchat.train.encoding import Encoder
from fastchat.train.examples import conversations, is_held_out, prepare
from fastchat.train.plan import DataChoice
from tests.train import learnable, small


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Encoder]:
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    tokenizer = small.llama_tokenizer()
    return lambda: Encoder(tokenizer, find_format(str(tmp_path), tokenizer, "vicuna_v1.1"), max_length=256)


def test_parts_of_a_conversation_stand_on_one_side(tmp_path: Path) -> None:
    wholes = [small.conversation(*"abcdefgh", id=f"talk {number}") for number in range(40)]
    parts = [part for whole in wholes for part in split(whole, [10] * 8, 40)]
    parts = [part for one in parts for part in split(one, [10] * len(one.messages), 35)]  # again, and shorter
    assert len(parts) == 160
    file = tmp_path / "parts.json"
    write_conversations(file, parts)
    data = DataChoice([file], held_out=0.3)
    held_out = {one.whole for one in conversations(data, [file], "held out")}
    assert held_out == {one.id for one in wholes if is_held_out(one.id, 0.3)}
    assert held_out.isdisjoint({one.whole for one in conversations(data, [file], "kept")})


def test_answers_to_one_question_stand_on_one_side(tmp_path: Path) -> None:
    def node(number: str, role: str, *replies: Any) -> dict[str, Any]:
        return {"message_id": number, "role": role, "text": number, "replies": list(replies)}

    tree = node("q", "prompter", node("1", "assistant"), node("2", "assistant"))
    (tmp_path / "trees.jsonl").write_text(json.dumps({"message_tree_id": "t", "prompt": tree}))
    battle = {"question_id": "b", "winner": "tie"}
    for side in "ab":
        said = [{"role": "user", "content": "?"}, {"role": "assistant", "content": side}]
        battle |= {f"conversation_{side}": said, f"model_{side}": side}  # type: ignore[dict-item]
    (tmp_path / "battles.jsonl").write_text(json.dumps(battle))
    files = [tmp_path / "trees.jsonl", tmp_path / "battles.jsonl"]
    assert [one.whole for one in conversations(DataChoice(files), files)] == ["t", "t", "b", "b"]


@pytest.mark.parametrize(
    ("number", "share", "says"),
    [
        (0, 0.0, r"no conversations in .*talks\.json"),
        (1, 0.05, "share of 0.05 nothing is held out"),
        (1, 0.999, "share of 0.999 nothing is left to train on"),
    ],
)
def test_too_few_are_told(number: int, share: float, says: str, tmp_path: Path, encoder: Callable[[], Encoder]) -> None:
    file = learnable.talks(tmp_path / "talks.json", number)
    with pytest.raises(SetupError, match=says):
        prepare(DataChoice([file], held_out=share, max_length=256), encoder)
