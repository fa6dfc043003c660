import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.llm_judge.files import encode
from fastchat.llm_judge.folder import BenchFolder
from fastchat.llm_judge.records import Answer, Choice
from fastchat.llm_judge.results import show
from fastchat.llm_judge.results.rendering import csv_text, text
from fastchat.llm_judge.results.tables import tables
from fastchat.llm_judge.suites.checking import check_answers, keep_checks, read_checked

RIGHT = "```python\ndef double(n):\n    return n * 2\n```"
WRONG = "```python\ndef double(n):\n    return n + 2\n```"
CHECKS = [{"run": "double(4)", "gives": "8"}, {"run": "double(2)", "gives": "4"}]


@pytest.fixture
def folder(tmp_path: Path) -> BenchFolder:
    """Two questions, one of them answered twice."""
    suite = tmp_path / "suite"
    suite.mkdir()
    rows = [{"question_id": n, "category": name, "turns": ["?"]} for n, name in ((1, "easy"), (2, "hard"))]
    (suite / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    checks = [{"question_id": n, "names": ["double"], "checks": CHECKS} for n in (1, 2)]
    (suite / "checks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in checks))
    folder = BenchFolder(tmp_path / "run")
    folder.root.mkdir()
    (folder.root / "question.jsonl").write_bytes((suite / "question.jsonl").read_bytes())
    keep_checks(folder.root, suite / "question.jsonl")
    write_answers(folder, {1: [RIGHT, "no program"], 2: [WRONG]})
    return folder


def write_answers(folder: BenchFolder, said: dict[int, list[str]], revision: str = "a") -> None:
    rows = [
        Answer(
            question_id=n,
            answer_id=f"{revision}{n}",
            model_id="m",
            choices=tuple(Choice(index=at, turns=(text,)) for at, text in enumerate(texts)),
            tstamp=0,
        )
        for n, texts in said.items()
    ]
    folder.answers("m").parent.mkdir(exist_ok=True)
    folder.answers("m").write_bytes(b"".join(map(encode, rows)))


@contextmanager
def unseen(total: int) -> Iterator[Callable[[bool], None]]:
    yield lambda passed: None


async def test_answers_are_run_and_what_came_of_it_is_written(folder: BenchFolder) -> None:
    assert await check_answers(folder, ["m"], unseen, at_once=2) == 3

    found = [(row.question_id, row.choice, row.passed, row.checks_held) for row in read_checked(folder.root)]
    assert found == [(1, 0, True, 2), (1, 1, False, 0), (2, 0, False, 1)]
    assert read_checked(folder.root)[2].reason == "wrong: double(4)"


async def test_what_was_checked_is_not_run_again_unless_it_was_answered_anew(folder: BenchFolder) -> None:
    await check_answers(folder, ["m"], unseen, at_once=1)
    assert await check_answers(folder, ["m"], unseen, at_once=1) == 0

    write_answers(folder, {1: [RIGHT], 2: [RIGHT]}, revision="b")
    assert await check_answers(folder, ["m"], unseen, at_once=1) == 2
    latest = {(row.question_id, row.choice): (row.answer_id, row.passed) for row in read_checked(folder.root)}
    assert latest == {(1, 0): ("b1", True), (2, 0): ("b2", True)}


async def test_shares_that_passed_are_shown_by_category_without_any_judge(folder: BenchFolder) -> None:
    await check_answers(folder, ["m"], unseen, at_once=2)
    report = show(folder.root)
    (model,) = report.checked

    assert (model.passed.value, model.questions) == (0.25, 2)
    assert {name: share.value for name, share in model.categories.items()} == {"easy": 0.5, "hard": 0.0}
    assert model.passed.lower is not None
    assert "pass@1" in text(tables(report))
    assert "passed,m,easy,0.5" in csv_text(report)
    assert json.loads(report.json())["checked"][0]["model"] == "m"


async def test_a_folder_without_checks_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has no checks\.jsonl"):
        await check_answers(BenchFolder(tmp_path), ["m"], unseen, at_once=1)
