"""Rows survive: whole, with all their fields, whoever else writes and whenever a process dies."""

import errno
import gzip
import json
import multiprocessing
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import append_row, id_order, read_recorded, read_rows, rewrite_rows, settle
from fastchat.llm_judge.records import Answer, Question, SingleVerdict
from tests.llm_judge.rows import answer, question

OF_FASTCHAT = {
    "question_id": 81,
    "model": "vicuna-13b",
    "judge": ["gpt-4", "single-v1"],
    "user_prompt": "…",
    "judgment": "Rating: [[7]]",
    "score": 7,
    "turn": 1,
    "tstamp": 1.5,
    "theirs": {"a": [None, 1]},
    "empty": None,
}


def test_unknown_fields_are_written_again(tmp_path: Path) -> None:
    file = tmp_path / "gpt-4_single.jsonl"
    file.write_text(json.dumps(OF_FASTCHAT) + "\n", "utf-8")
    settle(file, SingleVerdict, lambda row: row.model, lambda row: row.model)
    assert json.loads(file.read_text("utf-8")) == OF_FASTCHAT


def test_fields_without_a_value_are_not_written(tmp_path: Path) -> None:
    """FastChat asks `"required_temperature" in question`, and would take None for a temperature."""
    append_row(tmp_path / "question.jsonl", question())
    assert json.loads((tmp_path / "question.jsonl").read_text("utf-8")) == {
        "question_id": 81,
        "category": "writing",
        "turns": ["Name a colour.", "And another."],
    }


def test_defaults_are_written(tmp_path: Path) -> None:
    row = {name: value for name, value in OF_FASTCHAT.items() if name not in ("turn", "tstamp")}
    append_row(tmp_path / "file.jsonl", SingleVerdict.model_validate(row))
    assert json.loads((tmp_path / "file.jsonl").read_text("utf-8"))["turn"] == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "question.jsonl:3: is not JSON"),
        ('{"question_id": 1}', "question.jsonl:3: turns: Field required"),
        ('{"question_id": 1, "turns": []}', "question.jsonl:3: turns: "),
        ("[" * 100_000, "question.jsonl:3: is not JSON"),
        ("7", "question.jsonl:3: "),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "question.jsonl"
    file.write_text('{"question_id": 1, "turns": ["a"]}\n\n' + line + "\n", "utf-8")
    with pytest.raises(SetupError, match=said):
        read_rows(file, Question)


def test_a_question_file_that_breaks_off_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "question.jsonl"
    file.write_text('{"question_id": 1, "turns": ["a"]}\n{"question_id": 2, "tu', "utf-8")
    with pytest.raises(SetupError, match=r"question.jsonl:2"):
        read_rows(file, Question)


def test_what_a_killed_process_left_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    append_row(file, answer("m", "x" * 200_000))
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 2])
    assert len(read_recorded(file, Answer)) == 1
    append_row(file, answer("m", question_id=82))
    assert [row.question_id for row in read_rows(file, Answer)] == [81, 82]


def test_a_file_of_nothing_but_half_a_line_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text('{"question_id"', "utf-8")
    append_row(file, answer("m"))
    assert len(read_rows(file, Answer)) == 1


def test_a_whole_last_line_without_its_break_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    append_row(file, answer("m"))
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    append_row(file, answer("m", question_id=82))
    assert len(read_rows(file, Answer)) == 2


def test_what_is_not_there_yet_has_no_rows(tmp_path: Path) -> None:
    assert read_recorded(tmp_path / "m.jsonl", Answer) == []
    with pytest.raises(SetupError, match="No such file"):
        read_rows(tmp_path / "m.jsonl", Answer)


def test_the_last_of_two_counts_and_rows_are_sorted(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    for number, said in ((90, "a"), ("b1", "b"), (9, "c"), (90, "d")):
        append_row(file, answer("m", said, question_id=number))
    settle(file, Answer, lambda row: row.question_id, lambda row: id_order(row.question_id))
    rows = read_rows(file, Answer)
    assert [(row.question_id, row.choices[0].turns[0]) for row in rows] == [(9, "c"), (90, "d"), ("b1", "b")]


def test_a_change_that_fails_leaves_the_file(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    append_row(file, answer("m"))
    before = file.read_bytes()

    def fail(rows: list[Answer]) -> list[Answer]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        rewrite_rows(file, Answer, fail)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_disk_without_room_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.jsonl"
    append_row(file, answer("m"))
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SetupError, match=r"m\.jsonl cannot be written to: No space left on device\."):
        rewrite_rows(file, Answer, lambda rows: rows)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_compressed_files_are_read_and_not_added_to(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl.gz"
    append_row(tmp_path / "m.jsonl", answer("m"))
    file.write_bytes(gzip.compress((tmp_path / "m.jsonl").read_bytes()))
    assert read_rows(file, Answer) == [answer("m")]
    with pytest.raises(SetupError, match="gunzip"):
        append_row(file, answer("m"))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(SetupError, match="cannot be read"):
        read_rows(file, Answer)


def test_several_processes_add_and_sort_at_once(tmp_path: Path) -> None:
    """Who sorts puts a new file in the old one's place; a line added to the old one would be lost."""
    file = tmp_path / "m.jsonl"
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_add, args=(file, first)) for first in (0, 1000)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [row.question_id for row in read_rows(file, Answer)] == [*range(150), *range(1000, 1150)]


def _add(file: Path, first: int) -> None:
    for number in range(first, first + 150):
        append_row(file, answer("m", question_id=number))
        if number % 10 == 9:
            settle(file, Answer, lambda row: row.question_id, lambda row: id_order(row.question_id))


def test_settled_rows_keep_what_others_wrote_in_them(tmp_path: Path) -> None:
    """The last of a key, sorted; a byte-order mark, blank lines, other line ends and fields of others do no harm."""
    file = tmp_path / "answers.jsonl"
    row = '{{"question_id": {0}, "answer_id": "{1}", "model_id": "m", "choices": [], "tstamp": 0, "ours": "ü"}}'
    lines = [row.format(3, "a"), "", row.format(1, "b"), row.format(3, "c"), row.format(2, "d")]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    settle(file, Answer, lambda row: row.question_id, lambda row: id_order(row.question_id))
    assert file.read_text("utf-8").splitlines() == [row.format(1, "b"), row.format(2, "d"), row.format(3, "c")]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("score", ["NaN", "Infinity", "1e999"])
def test_a_score_that_is_no_number_is_named(tmp_path: Path, score: str) -> None:
    file = tmp_path / "gpt-4_single.jsonl"
    file.write_text(json.dumps(OF_FASTCHAT).replace('"score": 7', f'"score": {score}') + "\n", "utf-8")
    with pytest.raises(SetupError, match=r"gpt-4_single.jsonl:1: score: Input should be a finite number"):
        read_rows(file, SingleVerdict)
