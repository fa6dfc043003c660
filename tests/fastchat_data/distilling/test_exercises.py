import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import SetupError
from fastchat.data.distilling.exercises import read_exercises


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ({"prompt": "Why?"}, ("Why?",)),
        ({"prompt": [{"role": "user", "content": "Why?"}]}, ("Why?",)),
        ({"instruction": "Translate.", "input": "Himmel"}, ("Translate.\nHimmel",)),
        ({"question_id": 81, "turns": ["Why?", "And then?"]}, ("Why?", "And then?")),
        ({"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}, ("Why?",)),
        ({"instruction": "Translate.", "output": "Translated."}, ("Translate.",)),
    ],
)
def test_what_is_asked_is_found_in_every_kind_of_record(tmp_path: Path, row: dict[str, Any], turns: tuple[str]) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text(json.dumps({**row, "system": "Be kind."}) + "\n")
    [exercise] = read_exercises(file)
    assert (exercise.turns, exercise.system) == (turns, "Be kind.")


def test_lines_of_a_text_are_prompts(tmp_path: Path) -> None:
    file = tmp_path / "asked.txt"
    file.write_text("Why?\n\nHow?\n")
    assert [(one.number, one.id, one.turns) for one in read_exercises(file)] == [
        (0, "asked_0", ("Why?",)),
        (1, "asked_1", ("How?",)),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [{"role": "assistant", "content": "So."}]}, "asks nothing"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "more than words"),
        ({"name": "x"}, "no known format"),
    ],
)
def test_a_record_that_cannot_be_asked_is_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(SetupError, match=said):
        list(read_exercises(file))
