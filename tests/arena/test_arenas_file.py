"""The file that describes the arenas: on its own, or as a part of fastchat.yaml."""

from pathlib import Path

import pytest

from fastchat.arena.arenas_file import read_arenas
from fastchat.core.errors import SetupError

ALONE = "legal:\n  title: Legal\n  questions: questions.jsonl\n"
AS_A_PART = "arenas:\n  legal:\n    title: Legal\n    questions: questions.jsonl\n"
WHOLE = "models:\n  - gpt-x\nauth: {basic: users.txt}\n" + AS_A_PART
JSON = '{"arenas": {"legal": {"title": "Legal", "questions": "questions.jsonl"}}}'


@pytest.mark.parametrize("text", [ALONE, AS_A_PART, WHOLE, JSON])
def test_arenas_are_read_in_every_form(tmp_path: Path, text: str) -> None:
    file = tmp_path / "arenas.yaml"
    file.write_text(text)
    (tmp_path / "questions.jsonl").touch()
    arenas = read_arenas(file)
    assert list(arenas) == ["legal"]
    assert (arenas["legal"].title, arenas["legal"].questions) == ("Legal", tmp_path / "questions.jsonl")


@pytest.mark.parametrize("text", ["", "arenas:\n", "arenas: {}\nmodels: []\n"])
def test_a_file_may_describe_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "fastchat.yaml"
    file.write_text(text)
    assert read_arenas(file) == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("default:\n  title: A\n  titel: B\n", ":3: default.titel: Extra inputs"),
        (
            "models: []\narenas:\n  legal:\n    integrity:\n      turns: 0\n",
            ":5: arenas.legal.integrity.turns: Input should be",
        ),
        ("arenas:\n  default: {}\n  Not A Name: {}\n", ":3: arenas.Not A Name: String should match"),
        ("legal:\n  models:\n    - fine\n    - {not: fine}\n", ":4: legal.models.1: Input should be a valid string"),
        ("- legal\n", ":1: "),
        ("a: b: c\n", "is not YAML"),
    ],
)
def test_a_complaint_names_the_line(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "arenas.yaml"
    file.write_text(text)
    with pytest.raises(SetupError) as refused:
        read_arenas(file)
    assert complaint in refused.value.message
    assert str(file) in refused.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none\.yaml cannot be read: No such file"):
        read_arenas(tmp_path / "none.yaml")
