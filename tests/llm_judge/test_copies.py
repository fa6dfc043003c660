"""Several engines of one model, started as workers for a run."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from fastchat.commands.bench import AnswerSettings
from fastchat.commands.bench_copies import shares, starting
from fastchat.core.errors import SetupError
from fastchat.llm_judge.asking import Call
from fastchat.llm_judge.settings import SessionSettings
from tests.llm_judge.endpoint import Endpoint, serving
from tests.llm_judge.test_bench_command import rows, status_of


@pytest.fixture(autouse=True)
def _all_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def settings(*flags: str) -> AnswerSettings:
    return AnswerSettings.from_argv(flags, prog="x", description="x")


@pytest.mark.parametrize(
    ("flags", "found", "expected"),
    [
        ("", 8, [[]]),
        ("--num-gpus-total 1", None, [[]]),  # FastChat's default
        ("--num-gpus-total 2 --num-gpus-per-model 2", 8, [[]]),  # one engine over both
        ("--num-gpus-total 2", 8, [["0"], ["1"]]),
        ("--num-gpus-total 4 --num-gpus-per-model 2", 4, [["0", "1"], ["2", "3"]]),
        ("--num-gpus-total 2 --gpus 5,7", None, [["5"], ["7"]]),
        ("--replicas 3", None, [[], [], []]),
    ],
)
def test_who_gets_which_gpus(flags: str, found: int | None, expected: list[list[str]]) -> None:
    assert shares(settings(*flags.split()), found) == tuple(map(tuple, expected))


def test_gpus_that_are_hidden_from_us_are_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6")
    assert shares(settings("--num-gpus-total", "2"), 8) == (("4",), ("6",))
    with pytest.raises(SetupError, match="but there are 2 GPUs"):
        shares(settings("--num-gpus-total", "3"), 8)


@pytest.mark.parametrize(
    ("flags", "found", "message"),
    [
        ("--num-gpus-total 4", None, "is 4, but there are 0 GPUs .*--replicas N"),
        ("--num-gpus-total 4", 2, "there are 2 GPUs"),
        ("--num-gpus-total 4 --device cpu", 4, "for --device cpu"),
        ("--num-gpus-total 3 --num-gpus-per-model 2", 8, "in parts of --num-gpus-per-model 2"),
        ("--num-gpus-total 2 --replicas 2", 8, "give one of them"),
    ],
)
def test_what_does_not_fit(flags: str, found: int | None, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        shares(settings(*flags.split()), found)


async def test_replicas_share_the_questions_and_end_with_the_run(tmp_path: Path) -> None:
    questions = tmp_path / "asked.jsonl"
    questions.write_text("".join(json.dumps({"question_id": at, "turns": ["Why?"]}) + "\n" for at in range(8)))
    asked = ["--questions", str(questions), "--output", str(tmp_path / "out"), "--parallel", "1"]
    script = json.dumps({"reply": "Because."})
    model = ["--engine", "scripted", "--model-path", "scripted", "--model-id", "m", "--engine-args", script]
    assert await status_of(["answer", *asked, *model, "--models", "m", "--replicas", "2"]) == 0
    answers = rows(tmp_path / "out" / "model_answer" / "m.jsonl")
    assert [row["choices"][0]["turns"] for row in answers] == [["Because."]] * 8


async def test_each_replica_answers_by_itself_until_the_block_ends() -> None:
    start = starting(settings("--engine", "scripted", "--replicas", "2"))
    assert start is not None
    async with aiohttp.ClientSession() as session:
        async with start("m", "scripted") as urls:
            assert len(set(urls)) == 2
            for url in urls:
                async with session.get(f"{url}/v1/models") as reply:
                    assert [card["id"] for card in (await reply.json())["data"]] == ["m"]
        for url in urls:
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"{url}/v1/models")


async def test_calls_are_spread_over_the_copies_by_load() -> None:
    async with serving(Endpoint(lambda _: "yes", ("m",))) as one, serving(Endpoint(lambda _: "yes", ("m",))) as two:

        @asynccontextmanager
        async def start(model: str, place: str) -> AsyncIterator[Sequence[str]]:
            assert (model, place) == ("m", "builtin")
            yield (one.url, two.url)

        async with SessionSettings(model_path="builtin", model_id="m").open_reach((), start) as reach:
            assert reach.local.must_load("m")
            await reach.local.load("m")
            assert not reach.local.must_load("m")
            assert reach.addresses("m") == (one.url, two.url)
            asked = [Call("m", [{"role": "user", "content": str(number)}]) for number in range(8)]
            assert {reply.text for reply in await asyncio.gather(*map(reach.ask, asked))} == {"yes"}
        assert (one.calls, two.calls) == (4, 4)


async def test_a_model_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    start = starting(settings("--engine", "scripted", "--engine-args", '{"no such": 1}', "--replicas", "2"))
    assert start is not None
    with pytest.raises(SetupError, match=r"m-\d does not start(.|\n)*no such"):
        async with start("m", "scripted"):
            pass
