"""Masks are those of FastChat's own trainer, on its 500 conversations."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.data.records import Conversation
from fastchat.train.chat_format import find_format
from fastchat.train.encoding import Encoder
from tests.train.small import llama_tokenizer

_FILE = Path(__file__).parents[1] / "data" / "fastchat_conversations.json.gz"
_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
_MAX_LENGTH = 200


@pytest.fixture(scope="module")
def given() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(_FILE.read_bytes()))
    return rows


def test_masks_are_those_of_vicuna(given: list[dict[str, Any]]) -> None:
    tokenizer = llama_tokenizer()
    roles = {"human": "user", "gpt": "assistant"}
    conversations = [
        Conversation(
            row["id"], [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
        )
        for row in given
    ]
    encoder = Encoder(tokenizer, find_format("", tokenizer, "vicuna_v1.1"), max_length=_MAX_LENGTH)

    samples = list(encoder.encode(conversations))

    assert len(samples) == len(given) == 500
    assert encoder.counts.too_long > 0  # so that cutting is compared as well
    for row, sample in zip(given, samples, strict=True):
        ids, trained = _as_fastchat([turn["value"] for turn in row["conversations"]], tokenizer)
        assert sample.ids.tolist() == ids
        assert sample.trained.tolist() == trained


def _as_fastchat(turns: list[str], tokenizer: Any) -> tuple[list[int], list[bool]]:
    """Its way: measure each round by tokenising it again, and take off what a LLaMA tokenizer adds."""

    def measure(text: str) -> int:
        return 1 + len(tokenizer.encode(text, add_special_tokens=False))  # the first token comes before every text

    rounds = [f"USER: {turns[at]} ASSISTANT: {turns[at + 1]}" for at in range(0, len(turns), 2)]
    rounds[0] = f"{_SYSTEM} {rounds[0]}"
    ids = tokenizer.encode("<s>" + "".join(f"{each}</s>" for each in rounds), add_special_tokens=False)
    trained = [False] * len(ids)
    place = 1
    for each in rounds:
        asked = measure(each.partition(" ASSISTANT: ")[0] + " ASSISTANT: ") - 2
        length = measure(each)
        trained[place + asked : place + length] = [True] * (length - asked)
        place += length
    assert place == len(ids)
    return ids[:_MAX_LENGTH], trained[:_MAX_LENGTH]
