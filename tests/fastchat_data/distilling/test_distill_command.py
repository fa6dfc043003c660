import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fastchat.commands import data
from fastchat.core.errors import SetupError
from fastchat.data.readers.conversations import read_conversations
from fastchat.llm_judge.budget import read_spending
from fastchat.model import builtin
from tests.llm_judge.endpoint import Endpoint, serving
from tests.stack.system import until

PROMPTS = 6
PRICES = '[[price]]\nmatch = "*"\ninput = 1000\noutput = 1000\n'  # two cents for a reply of 10 and 10 tokens


def say(body: Mapping[str, Any]) -> str:
    return f"{body['model']} on {body['messages'][-1]['content']}"


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serving(Endpoint(say, ("teacher", "other"))) as running:
        yield running


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Of two questions each."""
    rows = [
        {
            "id": f"t{number}",
            "conversations": [{"from": "human", "value": f"{turn} {number}?"} for turn in ("Why", "How")],
        }
        for number in range(PROMPTS)
    ]
    file = tmp_path / "talks.json"
    file.write_text(json.dumps(rows))
    return file


def line_of(endpoint: Endpoint, source: Path, target: Path, *more: str) -> list[str]:
    teacher = ("--teacher", "teacher", "--api-url", endpoint.url, "--parallel", "4")
    return ["distill", str(source), str(target), *teacher, *more]


async def status_of(arguments: Sequence[str]) -> int:
    """The command, in a thread, since it has a loop of its own."""

    def run() -> int:
        try:
            data.main(arguments)
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return await asyncio.to_thread(run)


def answers(file: Path) -> list[list[str]]:
    return [[str(one["content"]) for one in talk.messages[1::2]] for talk in read_conversations(file)]


async def test_a_teacher_answers_what_others_asked(endpoint: Endpoint, talks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert await status_of(line_of(endpoint, talks, out, "--to", "messages", "--system", "Be kind.")) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"t{number}" for number in range(PROMPTS)]
    assert [one["content"] for one in rows[1]["messages"]] == [
        "Be kind.",
        "Why 1?",
        "teacher on Why 1?",
        "How 1?",
        "teacher on How 1?",
    ]
    assert (rows[1]["model"], rows[1]["distilled"]["system"]) == ("teacher", "Be kind.")


async def test_another_model_asks_on(endpoint: Endpoint, tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out.json"
    prompts.write_text("Why?\n")
    assert await status_of(line_of(endpoint, prompts, out, "--turns", "2", "--asker", "other")) == 0
    [talk] = read_conversations(out)
    assert [one["role"] for one in talk.messages] == ["user", "assistant"] * 2
    assert str(talk.messages[2]["content"]).startswith("other on ")


@pytest.mark.parametrize("replies", [3, 2 * PROMPTS - 2])
async def test_killed_at_any_point_nothing_answered_is_asked_again_and_no_line_lost(
    endpoint: Endpoint, talks: Path, tmp_path: Path, replies: int
) -> None:
    out = tmp_path / "out.json"
    line = line_of(endpoint, talks, out, "--parallel", "2")
    endpoint.holds_after = replies
    child = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "fastchat", "data", *line],
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: endpoint.held == 2, "both places wait for the endpoint")
    finally:
        child.kill()
        await child.wait()
    assert not out.exists()
    endpoint.holds_after = None
    assert await status_of(line) == 0
    assert answers(out) == [[f"teacher on Why {n}?", f"teacher on How {n}?"] for n in range(PROMPTS)]
    again = Counter(endpoint.asked.values())
    assert again == Counter({1: 2 * PROMPTS - 2, 2: 2})  # twice what was in flight, and nothing else
    assert read_spending(tmp_path / "out.json.distill").calls == 2 * PROMPTS
    before = endpoint.calls
    assert await status_of(line) == 0
    assert endpoint.calls == before


async def test_a_budget_holds_and_more_of_it_goes_on(
    endpoint: Endpoint, talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices, out = tmp_path / "prices.toml", tmp_path / "out.json"
    prices.write_text(PRICES)
    line = line_of(endpoint, talks, out, "--prices", str(prices), "--max-tokens", "20")
    assert await status_of([*line, "--budget", "0.15"]) == 1
    said = capsys.readouterr()
    assert "will not suffice" in said.err
    assert "With a higher --budget" in said.out
    assert 0 < read_spending(tmp_path / "out.json.distill").usd <= 0.15
    assert len(answers(out)) < PROMPTS
    assert await status_of([*line, "--budget", "100"]) == 0
    assert len(answers(out)) == PROMPTS
    assert set(endpoint.asked.values()) == {1}  # nothing was paid for twice


async def test_failures_are_counted_with_their_reasons_and_asked_again(
    talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    is_ill, is_busy = True, True

    def sometimes(body: Mapping[str, Any]) -> str:
        nonlocal is_busy
        if is_ill and body["messages"][-1]["content"] == "How 2?":
            raise web.HTTPBadRequest(text='{"error": {"message": "not this one"}}')
        if is_busy:
            is_busy = False
            raise web.HTTPTooManyRequests(headers={"Retry-After": "0"}, text='{"error": {"message": "busy"}}')
        return say(body)

    out = tmp_path / "out.json"
    async with serving(Endpoint(sometimes, ("teacher",))) as endpoint:
        assert await status_of(line_of(endpoint, talks, out)) == 1
        assert "1  not this one" in capsys.readouterr().out
        assert len(answers(out)) == PROMPTS - 1
        is_ill = False
        assert await status_of(line_of(endpoint, talks, out)) == 0
    assert len(answers(out)) == PROMPTS


async def test_with_a_higher_limit_what_was_cut_off_is_asked_again(tmp_path: Path, talks: Path) -> None:
    def say(body: Mapping[str, Any]) -> str:
        return "" if body["max_tokens"] < 20 and "2" in body["messages"][0]["content"] else "yes"

    out = tmp_path / "out.json"
    async with serving(Endpoint(say, ("teacher",))) as endpoint:
        assert await status_of(line_of(endpoint, talks, out, "--max-tokens", "10")) == 1
        before = endpoint.calls
        assert await status_of(line_of(endpoint, talks, out, "--max-tokens", "20")) == 0
        assert endpoint.calls == before + 2
    assert len(answers(out)) == PROMPTS


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--teacher", "nobody"], "no model 'nobody'"),
        (["--budget", "1"], "no price is known for the model 'teacher'"),
        (["--prices", "nothing.toml"], "nothing.toml"),
    ],
)
async def test_what_the_user_has_to_mend(
    endpoint: Endpoint, talks: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        await status_of([*line_of(endpoint, talks, tmp_path / "out.json"), *more])
    assert endpoint.calls == 0


async def test_a_teacher_has_to_be_named_where_there_are_several(
    endpoint: Endpoint, talks: Path, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match="There are: other, teacher"):
        await status_of(["distill", str(talks), str(tmp_path / "out.json"), "--api-url", endpoint.url])


@pytest.mark.model
def test_the_built_in_model_teaches(tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out.json"
    prompts.write_text("What is the capital of France? Answer in one word.\n")
    line = ["distill", str(prompts), str(out), "--model-path", builtin.NAME, "--temperature", "0", "--max-tokens", "64"]
    data.main(line)
    assert "Paris" in answers(out)[0][0]
