"""`fastchat bench anchors`: the set itself, a judge that stays, one that drifts, and what cannot be compared."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands import bench
from fastchat.core.errors import SetupError
from fastchat.llm_judge.anchors import Grade, Graded, read_anchors
from fastchat.llm_judge.results.drift import drift, drift_tables
from tests.llm_judge.endpoint import Endpoint, serving


class Judge:
    """Grades in the middle of what is defensible, shifted; may fall silent at one."""

    def __init__(self) -> None:
        self.shift = 0.0
        self.silent_at = ""

    def __call__(self, body: Mapping[str, Any]) -> str:
        text = body["messages"][-1]["content"]
        (anchor,) = [each for each in read_anchors() if each.turns[0] in text]
        if anchor.question_id == self.silent_at:
            return "…"
        return f"[[{sum(anchor.band) / 2 + self.shift + (anchor.category == 'math') / 2}]]"


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
async def endpoint(judge: Judge) -> AsyncIterator[Endpoint]:
    async with serving(Endpoint(judge, ("judge",))) as running:
        yield running


async def status_of(endpoint: Endpoint, *more: str | Path) -> int:
    """The command, in a thread, since it has a loop of its own."""
    line = ["anchors", "--judge", "judge", "--api-url", endpoint.url, *map(str, more)]

    def run() -> int:
        try:
            bench.main(line)
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return await asyncio.to_thread(run)


def test_the_anchors_are_whole_and_of_all_qualities() -> None:
    anchors = read_anchors()
    assert len({each.question_id for each in anchors}) == len(anchors) == 12
    assert all(len(each.turns) == 1 and each.answer and 1 <= each.band[0] < each.band[1] <= 10 for each in anchors)
    assert sum(each.band[0] >= 8 for each in anchors) >= 4
    assert sum(each.band[1] <= 4 for each in anchors) >= 4


async def test_a_judge_that_stays_and_one_that_drifts(
    endpoint: Endpoint, judge: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kept" / "judge.jsonl"
    assert await status_of(endpoint, "--record", file) == 0
    assert "0 of 12 grades are outside" in capsys.readouterr().out
    kept = file.read_bytes()
    assert await status_of(endpoint, "--against", file) == 0
    assert "No drift is seen" in capsys.readouterr().out
    judge.shift = -0.5
    assert await status_of(endpoint, "--against", file) == 1
    assert "The judge has drifted" in capsys.readouterr().out
    assert await status_of(endpoint, "--against", file, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["has_drifted"], found["shift"]["value"], found["changed"]) == (True, -0.5, 12)
    assert file.read_bytes() == kept
    assert endpoint.calls == 4 * 12  # every time afresh
    assert len(endpoint.asked) == 12


async def test_what_was_recorded_is_not_overwritten_and_costs_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    file.write_text("kept")
    with pytest.raises(SetupError, match=r"is there already.*--against"):
        await status_of(endpoint, "--record", file)
    with pytest.raises(SetupError, match=r"judge\.jsonl:1: is not JSON"):
        await status_of(endpoint, "--against", file)
    assert (file.read_text(), endpoint.calls) == ("kept", 0)


async def test_an_anchor_without_a_grade_is_told_and_no_number(
    endpoint: Endpoint, judge: Judge, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge.silent_at = "anchor-4"
    file = tmp_path / "judge.jsonl"
    assert await status_of(endpoint, "--record", file) == 1
    assert len(file.read_text().splitlines()) == 11
    assert "there is no [[rating]] in it" in capsys.readouterr().out
    judge.silent_at = ""
    assert await status_of(endpoint, "--against", file) == 0


@pytest.mark.parametrize("more", [["--no-fences"], ["--verdicts", "json"]])
async def test_another_prompt_is_no_drift(endpoint: Endpoint, tmp_path: Path, more: Sequence[str]) -> None:
    file = tmp_path / "judge.jsonl"
    await status_of(endpoint, "--record", file)
    with pytest.raises(SetupError, match=re.escape("12 anchors were put to the judge in other words")):
        await status_of(endpoint, "--against", file, *more)


def graded(scores: Sequence[float]) -> tuple[Grade, ...]:
    return tuple(
        Grade(question_id=anchor.question_id, judge=("j", "single-v1"), score=score, judgment="", asked="")
        for anchor, score in zip(read_anchors(), scores, strict=False)
    )


@pytest.mark.parametrize(
    ("changes", "has_drifted"),
    [
        ([0] * 12, False),
        ([1] * 12, True),
        ([3, *[0] * 11], False),  # one grade moves no judge
        ([-1, -1, 0, -1, -1, 0, -1, -1, 0, -1, 0, 0], True),
        ([2, -2] * 6, False),
    ],
)
def test_drift_is_a_paired_test_of_the_mean(changes: Sequence[float], has_drifted: bool) -> None:
    now = Graded(graded([5 + change for change in changes]), {})
    found = drift("j", read_anchors(), now, graded([5] * 12))
    assert found.has_drifted == has_drifted


def test_another_judge_is_told() -> None:
    found = drift("other", read_anchors(), Graded(graded([5] * 12), {}), graded([5] * 12))
    assert any("by j: a change is the difference of two judges" in note for note in next(drift_tables(found)).notes)


def test_a_few_grades_are_no_comparison() -> None:
    with pytest.raises(SetupError, match="Only 5 anchors"):
        drift("j", read_anchors(), Graded(graded([5] * 5), {}), graded([5] * 12))
