"""Splitting, choosing, counting, control tokens, identity."""

from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.counting import Statistics, in_characters
from fastchat.data.identity import identity_conversations
from fastchat.data.selecting import first_rounds, is_held_out, of_model, reservoir, short_enough
from fastchat.data.special_tokens import without_special_tokens
from fastchat.data.splitting import split
from fastchat.data.tokens import Tokenizer, load_tokenizer, with_lengths
from fastchat.model import builtin
from tests.fastchat_data.talks import talk


def parts(lengths: list[int], max_tokens: int) -> list[tuple[str, int]]:
    one = talk(*map(str, range(len(lengths))), id="c")
    return [(part.id, len(part.messages)) for part in split(one, lengths, max_tokens)]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([4] * 6, [("c_0", 6)]),
        ([14] * 6, [("c_0", 2), ("c_2", 2), ("c_4", 2)]),  # FastChat lost the last one
        ([90, 90, 4, 4, 4, 4], [("c_0", 2), ("c_2", 4)]),  # and began with an empty part
        ([4, 4, 90, 90], [("c_0", 2), ("c_2", 2)]),
        ([], []),
    ],
)
def test_parts_are_whole_rounds_and_none_is_lost(lengths: list[int], expected: list[tuple[str, int]]) -> None:
    assert parts(lengths, 60) == expected


def test_every_part_has_the_systems_message() -> None:
    system = {"role": "system", "content": "s"}
    one = talk("a", "b", "c", "d", id="c")
    whole = type(one)("c", [system, *one.messages])
    found = list(split(whole, [4, 14, 14, 14, 14], 60))
    assert [[message["content"] for message in part.messages] for part in found] == [["s", "a", "b"], ["s", "c", "d"]]
    assert [part.id for part in found] == ["c_0", "c_2"]


def test_a_sample_has_its_order_and_its_seed() -> None:
    talks = [talk("q", id=f"{n:03}") for n in range(200)]
    found = [one.id for one in reservoir(iter(talks), 20, 1)]
    assert found == sorted(found)
    assert (
        found == [one.id for one in reservoir(iter(talks), 20, 1)] != [one.id for one in reservoir(iter(talks), 20, 2)]
    )
    assert len(list(reservoir(iter(talks), 500, 1))) == 200


def test_the_same_question_is_held_out_everywhere_or_nowhere() -> None:
    talks = [talk(f"Question {n}?", "a") for n in range(1000)]
    held = [is_held_out(one, 0.2, 0) for one in talks]
    assert 150 < sum(held) < 250
    assert held == [is_held_out(talk(f"question  {n}?", "b", "more"), 0.2, 0) for n in range(1000)]


def test_some_are_chosen() -> None:
    talks = [talk("q", "a", "q", "a", id="1", model="gpt4"), talk("q", id="2", model="other"), talk("q" * 9, id="3")]
    assert [one.id for one in of_model(talks, ["gpt4"])] == ["1", "3"]
    assert [len(one.messages) for one in first_rounds(talks)] == [2, 1, 1]
    assert [one.id for one in short_enough(talks, 4)] == ["1", "2"]


def test_statistics() -> None:
    found = Statistics()
    for one, lengths in in_characters([talk("abc", "defgh", "i", "j"), talk("x" * 3000, "y")]):
        found.add(one, lengths)
    assert (found.conversations, found.rounds, found.longest, found.mean_rounds) == (2, 3, 3001, 1.5)
    assert found.mean_length("assistant") == 7 / 3
    assert found.histogram == [1, 0, 1, 0, 0, 0, 0]


class Words:
    """As much of a tokenizer as is called."""

    bos_token, eos_token, pad_token, unk_token = "<s>", "</s>", None, "</s>"

    def __call__(self, texts: list[str], add_special_tokens: bool, return_attention_mask: bool) -> dict[str, Any]:
        return {"input_ids": [["<s>"] * add_special_tokens + text.split() for text in texts]}


def test_lengths_come_in_batches() -> None:
    talks = [talk("a b", "c", id=str(n)) for n in range(600)]
    found = list(with_lengths(talks, Tokenizer(Words()), with_special=True))
    assert [one.id for one, _ in found] == [one.id for one in talks]
    assert all(lengths == [3, 2] for _, lengths in found)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no folder"):
        load_tokenizer(str(tmp_path / "none"))


def test_the_built_in_model_is_found_without_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []

    def from_pretrained(path: object) -> Words:
        asked.append(path)
        if path != tmp_path:
            raise OSError("no such name.\nTry another.")
        return Words()

    transformers = pytest.importorskip("transformers")
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", from_pretrained)
    monkeypatch.setattr(builtin, "ensure_safetensors", lambda: tmp_path)
    assert load_tokenizer("builtin").lengths(["a b"], with_special=False) == [2]
    with pytest.raises(SetupError, match=r"no such name\. A model is a folder, a name on the hub, or 'builtin'"):
        load_tokenizer("bultin")
    assert asked == [tmp_path, "bultin"]


def test_control_tokens_in_texts_are_broken() -> None:
    special = Tokenizer(Words()).special
    found = without_special_tokens(talk("Say </s> and <s>!", "Fine."), special)
    assert found.messages[0]["content"] == "Say <|/s|> and <|s|>!"
    assert without_special_tokens(talk("Fine."), special) == talk("Fine.")


def test_every_answer_on_identity_names_the_model_or_who_made_it() -> None:
    found = list(identity_conversations("Ada", "the Society"))
    assert len({(m[0]["content"], m[1]["content"]) for m in (one.messages for one in found)}) == len(found) > 200
    assert all("Ada" in one.messages[1]["content"] for one in found)
    assert not any("{" in message["content"] for one in found for message in one.messages)
