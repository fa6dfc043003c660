"""`fastchat data`, as its user calls it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastchat.__main__ import main
from tests.fastchat_data.talks import sharegpt, write

PAGE = '<div class="markdown"><p>It is <b>well</b> known that 2 &lt; 3.</p></div>'
ROWS = [
    sharegpt("Is two less than three?", PAGE, id="a"),
    sharegpt("is two less than three?", "It is **well** known that 2 < 3.", id="b"),
    sharegpt("How many legs has a beetle?", "Six, as all insects have.", id="c"),
]


def run(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    main(["data", *map(str, argv)])
    return capsys.readouterr().out


def fails(capsys: pytest.CaptureFixture[str], *argv: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["data", *map(str, argv)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def ids(file: Path) -> list[str]:
    return [row["id"] for row in json.loads(file.read_text())]


def test_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = write(tmp_path / "in.json", ROWS), tmp_path / "out.json"
    out = run(capsys, "clean", source, target, "--report", tmp_path / "report.html", "--workers", "1")
    assert "2 of 3 conversations" in out
    assert json.loads(target.read_text())[0] == sharegpt(
        "Is two less than three?", "It is **well** known that 2 < 3.", id="a"
    )
    assert "says the same" in (tmp_path / "report.html").read_text()


def test_clean_into_the_same_file_in_another_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "talks.json", ROWS)
    run(capsys, "clean", file, file, "--rules", "html", "--with", "ids", "--to", "messages", "--workers", "1")
    assert json.loads(file.read_text())[0]["messages"][1]["content"] == "It is **well** known that 2 < 3."


def test_records_that_cannot_be_read_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.json", [*ROWS, {"conversations": 7}])
    out = run(capsys, "clean", source, tmp_path / "out.json", "--report", tmp_path / "r.json", "--workers", "1")
    assert "1 records could not be read" in out
    assert json.loads((tmp_path / "r.json").read_text())["conversations"] == {"read": 3, "unreadable": 1, "written": 2}


def test_without_a_report_it_is_said_how_to_get_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.json", [*ROWS, {"conversations": 7}])
    out = run(capsys, "clean", source, tmp_path / "out.jsonl.gz", "--workers", "1")
    assert "1 records could not be read; --report FILE" in out


def test_a_file_of_which_nothing_is_kept_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = write(tmp_path / "in.json", ROWS), tmp_path / "out.json"
    main(["data", "clean", str(source), str(target), "--keep-languages", "FR", "--workers", "1"])
    assert "warning: nothing was kept" in capsys.readouterr().err
    assert ids(target) == []


def test_questions_of_an_evaluation_are_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = "Describe in one paragraph how a lighthouse keeper of the nineteenth century spent a stormy night"
    (tmp_path / "q.jsonl").write_text(json.dumps({"question_id": 7, "turns": [asked]}))
    source = write(tmp_path / "in.json", [*ROWS, sharegpt(f"{asked}, please.", "He watched and waited.", id="d")])
    target, report = tmp_path / "out.json", tmp_path / "r.json"
    run(capsys, "clean", source, target, "--questions", tmp_path / "q.jsonl", "--report", report, "--workers", "1")
    assert ids(target) == ["a", "c"]
    assert "q 7" in report.read_text()


def test_words_may_stand_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.txt").write_text("beetle\n\nspider\n")
    source, target = write(tmp_path / "in.json", ROWS), tmp_path / "out.json"
    run(capsys, "clean", source, target, "--words", tmp_path / "words.txt", "--workers", "1", "--without", "duplicates")
    assert ids(target) == ["a", "b"]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["clean"], "IN is missing"),
        (["clean", "in.json"], "OUT is missing"),
        (["clean", "none.json", "out.json"], "There is no file none.json"),
        (["clean", "in.json", "out.json", "--rules", "nope"], "There is no rule 'nope'"),
        (["clean", "in.json", "out.json", "--report", "r.txt"], "name it .html or .json"),
        (["clean", "in.json", "out.json", "--format", "csv"], "There is no format 'csv'"),
        (["clean", "in.json", "out.json", "--format", "dolly"], "No record could be read"),
        (["clean", "in.json", "none/out.json"], "cannot be written: No such file"),
        (["clean", "in.json", "out.txt"], ".json or .jsonl, also .gz: 'out.txt' is neither"),
        (["clean", "in.json", "out.json", "--keep-languages", "english"], "There is no language 'english'"),
        (["inspect", "in.json", "--begin", "100"], "in.json has 3 conversations"),
        (["split", "in.json", "out.json"], "--model is missing"),
        (["hold-out", "in.json", "a.json", "a.json"], "the same file"),
        (["hold-out", "in.json", "a.json", "b.json", "--share", "2"], "below 1"),
        (["merge", "--out", "out.json"], "--in-file is missing"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: Sequence[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.json", ROWS)
    assert told in fails(capsys, *argv)
    assert [file.name for file in tmp_path.iterdir()] == ["in.json"]


def test_a_disk_that_is_full_leaves_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource
    import signal

    source, target = write(tmp_path / "in.json", ROWS * 200), tmp_path / "out.json"
    target.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        assert "cannot be written: File too large" in fails(capsys, "convert", source, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_text() == "old"
    assert {file.name for file in tmp_path.iterdir()} == {"in.json", "out.json"}


def test_the_other_actions(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in.json", ROWS)
    assert "3, 1.00 a conversation" in run(capsys, "stats", "in.json")
    assert "3 conversations" in run(capsys, "convert", "in.json", "out.jsonl", "--to", "messages", "--first-round")
    assert "6 conversations" in run(capsys, "merge", "--in", "in.json", "out.jsonl", "--out", "all.json")
    assert "2 conversations" in run(capsys, "sample", "all.json", "some.json", "--count", "2")
    assert "conversations are in a.json" in run(capsys, "hold-out", "all.json", "a.json", "b.json", "--share", "0.5")
    assert len(ids(tmp_path / "a.json")) + len(ids(tmp_path / "b.json")) == 6
    shown = run(capsys, "inspect", "in.json", "--begin", "2")
    assert "How many legs has a beetle?" in shown
    assert "three" not in shown
    assert "conversations are in who.json" in run(
        capsys, "identity", "who.json", "--name", "Ada", "--organization", "Us"
    )
    assert "near-duplicates" in run(capsys, "rules")
