import random
from pathlib import Path

import pytest

from fastchat.arena.questions import Question, QuestionSet
from fastchat.core.errors import NotFound, SetupError


def test_json_lines_and_the_file_of_fastchat_are_read(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"x")
    lines = tmp_path / "q.jsonl"
    lines.write_text('{"text": "One?", "category": "tax"}\n\n{"text": "Two?", "image": "cat.png", "id": 7}\n')
    old = tmp_path / "q.json"
    old.write_text('[{"question": "Three?", "path": "cat.png"}]')
    drawn = {QuestionSet.read(lines).draw(random.Random(seed)) for seed in range(9)}
    assert drawn == {Question("One?", "tax"), Question("Two?", None, tmp_path / "cat.png")}
    assert QuestionSet.read(old).draw(random.Random(0)) == Question("Three?", None, tmp_path / "cat.png")


def test_questions_are_drawn_by_category_and_known_again(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"text": "One?", "category": "tax"}\n{"text": "Two?"}\n')
    questions = QuestionSet.read(file)
    assert {questions.draw(random.Random(seed), "tax").text for seed in range(9)} == {"One?"}
    assert questions.holds(" One? \n")
    assert not questions.holds("Three?")
    with pytest.raises(NotFound, match="'rent'"):
        questions.draw(random.Random(0), "rent")
    with pytest.raises(NotFound, match="no question to draw"):
        QuestionSet().draw(random.Random(0))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "ok"}\n{"text"', r"q\.jsonl:2: this is not JSON"),
        ('{"text": "ok"}\n\n{"category": "x"}', r"q\.jsonl:3: text: Field required"),
        ('{"text": ""}', r"q\.jsonl:1: text"),
        ('{"text": "ok", "image": "none.png"}', r"q\.jsonl:1: there is no image"),
        ("[1]", r"q\.jsonl: entry 1"),
        ("[{]", r"q\.jsonl:1: this is not JSON"),
        ("", "holds no question"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(content)
    with pytest.raises(SetupError, match=words):
        QuestionSet.read(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        QuestionSet.read(tmp_path / "none.jsonl")
