"""The judge's prompts: ours are whole, FastChat's can be given, and what cannot be used is refused with a reason."""

import json
import re
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.prompts import read_prompts
from fastchat.llm_judge.verdicts import Unreadable, read_rating

EIGHT = {
    "pair-v2",
    "pair-v2-multi-turn",
    "pair-math-v1",
    "pair-math-v1-multi-turn",
    "single-v1",
    "single-math-v1",
    "single-v1-multi-turn",
    "single-math-v1-multi-turn",
}
SINGLE = {
    "name": "single-v1",
    "type": "single",
    "system_prompt": "You are a helpful assistant.",
    "prompt_template": "[Question]\n{question}\n[Answer]\n{answer}",
    "description": "Mine",
    "category": "general",
    "output_format": "[[rating]]",
}


def test_fastchats_eight_are_there() -> None:
    prompts = read_prompts()
    assert prompts.by_name.keys() >= EIGHT
    for name in EIGHT:
        expected = ("single", "[[rating]]") if name.startswith("single") else ("pairwise", "[[A]]")
        assert (prompts.by_name[name].type, prompts.by_name[name].output_format) == expected


@pytest.mark.parametrize(
    ("turn", "with_reference", "single", "pair"),
    [
        (1, False, "single-v1", "pair-v2"),
        (1, True, "single-math-v1", "pair-math-v1"),
        (2, False, "single-v1-multi-turn", "pair-v2-multi-turn"),
        (2, True, "single-math-v1-multi-turn", "pair-math-v1-multi-turn"),
        (3, False, "single-v1-dialogue", "pair-v2-dialogue"),
        (9, True, "single-math-v1-dialogue", "pair-math-v1-dialogue"),
    ],
)
def test_the_prompt_goes_by_turn_and_reference(turn: int, with_reference: bool, single: str, pair: str) -> None:
    prompts = read_prompts()
    assert prompts.single(turn, with_reference).name == single
    assert prompts.pairwise(turn, with_reference).name == pair


def test_prompts_that_need_a_reference_show_it() -> None:
    prompts = read_prompts()
    for turn in (1, 2, 3):
        for choose in (prompts.single, prompts.pairwise):
            assert "{ref_" in choose(turn, True).prompt_template
            assert "{ref_" not in choose(turn, False).prompt_template


def test_a_judge_that_repeats_our_prompt_gives_no_rating() -> None:
    for prompt in read_prompts().by_name.values():
        if prompt.type == "single":
            assert isinstance(read_rating(prompt.system_prompt + prompt.prompt_template), Unreadable)


def test_a_prompt_of_ones_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    prompts = read_prompts(_file(tmp_path, SINGLE))
    assert prompts.by_name["single-v1"].description == "Mine"
    assert prompts.by_name.keys() >= EIGHT
    assert prompts.note("reminder", reason="because")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt_template": "{question}"}, "lacks the placeholder {answer}"),
        (
            {"prompt_template": "{answer} {answer_b}"},
            "has the placeholder {answer_b}; there are: answer, question, ref_",
        ),
        ({"prompt_template": "{answer.__class__}"}, "has the placeholder {answer.__class__}"),
        ({"prompt_template": "{answer} {"}, "Write braces that are no placeholder twice"),
        ({"prompt_template": "{answer} {}"}, "has the placeholder {}"),
        ({"output_format": "[[A]]"}, "is of the type single and has the output_format [[A]]"),
        ({"output_format": "[[stars]]"}, "output_format"),
        (
            {"type": "pairwise", "prompt_template": "{answer_a} {answer_b}", "output_format": "[[A]]"},
            "has to be single",
        ),
        ({"name": "single-v1-multi-turn"}, "has the placeholder {answer}"),
        ({"type": "note", "output_format": None}, "has the placeholder {answer}"),
        (
            {"name": "reminder", "type": "note", "output_format": None, "prompt_template": "No."},
            "lacks the placeholder",
        ),
    ],
)
def test_a_prompt_that_cannot_be_used_is_refused(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(SetupError, match=re.escape(said)) as raised:
        read_prompts(_file(tmp_path, SINGLE | change))
    assert "prompts.jsonl" in raised.value.message


def test_braces_written_twice_are_braces(tmp_path: Path) -> None:
    prompts = read_prompts(_file(tmp_path, SINGLE | {"prompt_template": '{{"a": 1}} {answer}'}))
    assert prompts.by_name["single-v1"].prompt_template.format(answer="x") == '{"a": 1} x'


def _file(folder: Path, row: dict[str, str]) -> Path:
    file = folder / "prompts.jsonl"
    file.write_text(json.dumps(row) + "\n", "utf-8")
    return file
