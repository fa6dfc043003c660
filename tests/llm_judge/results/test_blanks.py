from pathlib import Path

import pytest

from fastchat.llm_judge.answering import AnswerFailure
from fastchat.llm_judge.files import append_row
from fastchat.llm_judge.results import show
from fastchat.llm_judge.results.blanks import Blanks, blanks
from fastchat.llm_judge.results.rendering import text
from fastchat.llm_judge.results.tables import tables
from tests.llm_judge.results.judgments import score
from tests.llm_judge.rows import answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    said = {
        "quiet": [("", "Blue."), (" \n", ""), ("Red.", "Blue.")],
        "broken": [("$ERROR$", "$ERROR$"), ("Red.", "Blue."), ("Red.", "$ERROR$")],
        "fine": [("Red.", "Blue.")] * 3,
    }
    for model, answers in said.items():
        for number, turns in enumerate(answers, 1):
            append_row(tmp_path / "model_answer" / f"{model}.jsonl", answer(model, *turns, question_id=number))
    for number in (2, 4, 5):
        failure = AnswerFailure(question_id=number, model_id="broken", reason="busy")
        append_row(tmp_path / "answer_failures" / "broken.jsonl", failure)
    return tmp_path


def test_empty_turns_and_questions_that_were_not_answered_are_counted_by_model(folder: Path) -> None:
    assert blanks(folder) == (Blanks("broken", 0, 4), Blanks("quiet", 3, 0))  # the one of question 2 came later


def test_they_are_said_with_the_results(folder: Path) -> None:
    append_row(folder / "model_judgment" / "judge_single.jsonl", score("fine", 1, 7))
    report = show(folder)
    assert len(report.blanks) == 2
    shown = text(tables(report))
    assert "Answers that are empty or could not be had" in shown
    assert "quiet" in shown


def test_a_folder_of_judgments_only_has_none(tmp_path: Path) -> None:
    append_row(tmp_path / "model_judgment" / "gpt-4_single.jsonl", score("gpt-3.5", 1, 7))
    assert show(tmp_path).blanks == ()
