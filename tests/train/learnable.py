"""A model in a folder and conversations in a file, small enough to train on in a test."""

import json
from pathlib import Path
from typing import Any

from tests.train import small

_THINGS = ("Paris", "Vicuna", "the user")


def base(folder: Path, **settings: Any) -> Path:
    """A random Llama whose tokenizer is built as LLaMA's."""
    small.llama(**settings).save_pretrained(folder)
    small.llama_tokenizer().save_pretrained(folder)
    return folder


def talks(file: Path, number: int = 24) -> Path:
    """ShareGPT: questions about a few things, answered always in the same way, which is quickly learned."""
    records: list[dict[str, Any]] = []
    for index in range(number):
        thing = _THINGS[index % len(_THINGS)]
        turns = []
        for question in (f"What is {thing}?", f"Tell me more about {thing}, please.")[: 1 + index % 2]:
            turns.append({"from": "human", "value": question})
            turns.append({"from": "gpt", "value": f"It is {thing}."})
        records.append({"id": f"talk_{index}", "conversations": turns})
    file.write_text(json.dumps(records))
    return file
