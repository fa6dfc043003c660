"""`fastchat bench` on questions whose answers are run."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands import bench
from fastchat.core.errors import SetupError
from fastchat.llm_judge.suites.coding import read_items
from tests.llm_judge.endpoint import Endpoint, serving

FIRST = read_items()[:3]


def say(body: Mapping[str, Any]) -> str:
    """The suite's own solutions to all but the third."""
    asked = body["messages"][-1]["content"]
    solved = {item.question.turns[0]: item.question.reference for item in FIRST[:2]}
    return (solved.get(asked) or ("No idea.",))[0]


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving(Endpoint(say, ("coder",))) as running:
        yield running


async def bench_command(*line: str) -> None:
    await asyncio.to_thread(bench.main, line)


def run_line(endpoint: Endpoint, folder: Path) -> Sequence[str]:
    asked = ("--questions", "coding", "--first-n", "3", "--models", "coder")
    return ("run", *asked, "--api-url", endpoint.url, "--output", str(folder))


async def test_a_suite_that_runs_answers_needs_no_judge(
    endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    await bench_command(*run_line(endpoint, folder))

    rows = [json.loads(line) for line in (folder / "model_check" / "coder.jsonl").read_text().splitlines()]
    assert [(row["question_id"], row["passed"]) for row in rows] == [(1001, True), (1002, True), (1003, False)]
    assert not (folder / "model_judgment").exists()
    assert "0.667 (0.208 … 0.939)" in capsys.readouterr().out  # Wilson's interval of 2 of 3


async def test_answers_that_are_there_are_checked_by_themselves(
    endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    _, *line = run_line(endpoint, folder)
    await bench_command("answer", *line)
    before = endpoint.calls
    capsys.readouterr()

    await bench_command("check", str(folder), "--at-once", "2")
    assert "0.667" in capsys.readouterr().out
    assert endpoint.calls == before


async def test_other_answers_are_not_run(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"has no checks\.jsonl"):
        await bench_command("check", str(tmp_path))
    with pytest.raises(SetupError, match="Which folder"):
        await bench_command("check", str(tmp_path / "nothing"))


async def test_our_suite_is_verified_with_the_key_that_came_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await bench_command("verify", "coding")
    assert "as it was signed by" in capsys.readouterr().out

    await bench_command("new", str(tmp_path / "mine"))
    await bench_command("certify", str(tmp_path / "mine"), "--key", str(tmp_path / "key.pem"))
    with pytest.raises(SetupError, match="which anybody can write there"):
        await bench_command("verify", str(tmp_path / "mine"))


async def test_a_private_key_is_not_put_where_others_get_it(tmp_path: Path) -> None:
    await bench_command("new", str(tmp_path / "mine"))
    with pytest.raises(SetupError, match="is the private key"):
        await bench_command("certify", str(tmp_path / "mine"), "--key", str(tmp_path / "mine" / "key.pem"))
    assert not (tmp_path / "mine" / "key.pem").exists()
