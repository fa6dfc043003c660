"""`fastchat bench … --batch` against a server that speaks the providers' routes, through their SDKs."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import NoWorker, SetupError
from fastchat.llm_judge.asking import Call, Reply
from fastchat.llm_judge.batches import Pace, Results, batching
from fastchat.llm_judge.budget import read_spending
from tests.llm_judge.batch_server import BatchServer, serving_batches
from tests.llm_judge.endpoint import Endpoint, serving
from tests.llm_judge.test_bench_command import rows, status_of
from tests.stack.system import until

QUESTIONS = 4
PRICES = '[[price]]\nmatch = "*"\ninput = 1000\noutput = 1000\nbatch = 0.5\n'  # one cent for 10 and 10 tokens


def say(body: Mapping[str, Any]) -> str:
    last = body["messages"][-1]["content"]
    text = last if isinstance(last, str) else last[0]["text"]
    return "Well. [[7]]" if "judge" in body["model"] else f"I say: {text}"


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    async with serving_batches(BatchServer(say, ("m1", "judge"))) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [json.dumps({"question_id": at, "turns": [f"Question {at}?", "Why?"]}) for at in range(1, QUESTIONS + 1)]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    (tmp_path / "prices.toml").write_text(PRICES)
    return tmp_path / "out"


def line(action: str, folder: Path, url: str, *more: str) -> list[str]:
    asked = ["--questions", str(folder.parent / "asked.jsonl"), "--output", str(folder)]
    paid = ["--prices", str(folder.parent / "prices.toml"), "--budget", "100"]
    return [action, *asked, "--api-url", url, *paid, "--batch", "--batch-poll-s", "0.01", *more]


async def test_each_turn_is_one_batch_at_half_the_price(
    server: BatchServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await status_of(line("answer", folder, server.url, "--models", "m1")) == 0
    assert [len(batch) for batch in server.batches.values()] == [QUESTIONS, QUESTIONS]
    assert server.calls == 0
    answers = rows(folder / "model_answer" / "m1.jsonl")
    assert answers[2]["choices"] == [{"index": 0, "turns": ["I say: Question 3?", "I say: Why?"]}]
    assert read_spending(folder).usd == pytest.approx(2 * QUESTIONS * 0.01)
    assert "Sent batch batch_1 (4 calls of m1)" in capsys.readouterr().err
    assert not list((folder / "batches").iterdir())
    assert await status_of(line("judge", folder, server.url, "--judge", "judge")) == 0
    assert [len(batch) for batch in server.batches.values()][2:] == [2 * QUESTIONS]
    assert len(rows(folder / "model_judgment" / "judge_single.jsonl")) == 2 * QUESTIONS


async def test_what_fails_in_a_batch_is_asked_by_itself_at_the_full_price(
    server: BatchServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fails = lambda body: body["messages"][-1]["content"] == "Question 2?"
    assert await status_of(line("answer", folder, server.url, "--models", "m1")) == 0
    assert server.calls == 1
    assert len(rows(folder / "model_answer" / "m1.jsonl")) == QUESTIONS
    assert read_spending(folder).usd == pytest.approx((2 * QUESTIONS - 1) * 0.01 + 0.02)
    assert "1 calls of batch batch_0 failed and are asked one by one: out of luck" in capsys.readouterr().err


async def test_a_killed_run_waits_for_the_same_batch_again(
    server: BatchServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.holds = True
    command = line("answer", folder, server.url, "--models", "m1", "--no-caching")
    quiet = asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fastchat", "bench", *command, stdout=quiet, stderr=quiet
    )
    try:
        await until(lambda: bool(server.looks), "the run waits for its batch")
    finally:
        child.kill()
        await child.wait()
    server.holds = False
    assert await status_of(command) == 0
    assert [len(batch) for batch in server.batches.values()] == [QUESTIONS, QUESTIONS]  # the first was not sent again
    assert len(rows(folder / "model_answer" / "m1.jsonl")) == QUESTIONS
    assert read_spending(folder).calls == 2 * QUESTIONS
    assert "Waiting again for batch batch_0" in capsys.readouterr().err
    assert not list((folder / "batches").iterdir())


async def test_a_batch_that_is_not_taken_ends_the_run(server: BatchServer, folder: Path) -> None:
    server.gives_up = "the queue for m1 is full"
    with pytest.raises(SetupError, match="the queue for m1 is full"):
        await status_of(line("answer", folder, server.url, "--models", "m1"))
    assert not list((folder / "batches").iterdir())
    assert server.calls == 0


async def test_a_server_without_batches_ends_the_asking_with_the_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(Endpoint(say, ("m1",))) as plain:
        assert await status_of(line("answer", folder, plain.url, "--models", "m1")) == 1
        assert plain.calls == 0
    said = capsys.readouterr().err
    assert f"m1 is not asked any more; left of what was to ask: {QUESTIONS}." in said
    assert "Has it batches" in said


async def test_a_batch_that_the_provider_has_forgotten_names_its_file(
    server: BatchServer, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = line("answer", folder, server.url, "--models", "m1", "--no-caching")
    server.gives_up = "later"
    with pytest.raises(SetupError):
        await status_of(asked)
    calls = [row["custom_id"] for row in server.batches["batch_0"]]
    file = folder / "batches" / "old.json"
    sent = {"batch_id": "gone", "address": f"{server.url}/v1", "model": "m1", "calls": calls}
    file.write_text(json.dumps(sent))
    assert await status_of(asked) == 1
    assert f"Without {file} its calls are sent anew." in capsys.readouterr().err
    assert file.exists()
    assert len(server.batches) == 1


async def test_an_unreadable_file_of_a_batch_is_named(server: BatchServer, folder: Path) -> None:
    (folder / "batches").mkdir(parents=True)
    (folder / "batches" / "x.json").write_text("{")
    with pytest.raises(SetupError, match=r"x\.json is no file of a batch"):
        await status_of(line("answer", folder, server.url, "--models", "m1"))


async def test_a_budget_makes_batches_smaller_and_holds(server: BatchServer, folder: Path) -> None:
    tight = line("answer", folder, server.url, "--models", "m1", "--max-tokens", "20", "--budget", "0.15")
    assert await status_of(tight) == 0
    assert max(len(batch) for batch in server.batches.values()) < QUESTIONS
    assert read_spending(folder).usd == pytest.approx(2 * QUESTIONS * 0.01)


async def test_anthropics_batches(server: BatchServer, folder: Path) -> None:
    entry = {"api_type": "anthropic", "api_base": server.url, "api_key": "secret", "model_name": "claude"}
    register = folder.parent / "endpoints.json"
    register.write_text(json.dumps({"C": entry, "J": entry | {"model_name": "judge-1"}}))
    paid = ["--prices", str(folder.parent / "prices.toml"), "--budget", "100"]
    asked = ["--questions", str(folder.parent / "asked.jsonl"), "--output", str(folder), "--register", str(register)]
    batch = [*asked, *paid, "--batch", "--batch-poll-s", "0.01"]
    assert await status_of(["answer", "--models", "C", *batch]) == 0
    assert await status_of(["judge", "--judge", "J", *batch]) == 0
    assert [len(sent) for sent in server.batches.values()] == [QUESTIONS, QUESTIONS, 2 * QUESTIONS]
    params = server.batches["batch_1"][0]["params"]
    assert params["model"] == "claude"
    assert [message["role"] for message in params["messages"]] == ["user", "assistant", "user"]
    assert rows(folder / "model_answer" / "C.jsonl")[0]["choices"][0]["turns"] == ["I say: Question 1?", "I say: Why?"]
    assert {row["score"] for row in rows(folder / "model_judgment" / "J_single.jsonl")} == {7.0}
    assert read_spending(folder).usd == pytest.approx(4 * QUESTIONS * 0.01)


class Service:
    """A provider that cannot be reached when it is asked for the first time."""

    address, most_calls, most_bytes = "here", 2, 10_000

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Call]] = []
        self.looks = 0

    async def send(self, calls: Mapping[str, Call]) -> str:
        self.sent.append(calls)
        return str(len(self.sent) - 1)

    async def results(self, batch_id: str) -> Results | None:
        self.looks += 1
        if self.looks == 1:
            raise NoWorker("not at the moment")
        calls = self.sent[int(batch_id)]
        return Results({name: Reply(call.messages[0]["content"]) for name, call in calls.items()}, {})

    async def close(self) -> None: ...


async def answers(tmp_path: Path, service: Service, texts: Sequence[str]) -> list[str]:
    async def never(call: Call) -> Reply:
        raise AssertionError(call)

    pace = Pace(gather_s=0.001, poll_s=0.001)
    async with batching(tmp_path, lambda _: service, never, say=lambda _: None, pace=pace) as ask:
        calls = [Call("m", [{"role": "user", "content": text}]) for text in texts]
        return [reply.text for reply in await asyncio.gather(*map(ask, calls))]


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        (["a", "b"], [2]),
        (["a", "b", "c"], [2, 1]),
        (["a", "b", "a"], [2]),  # the same call is sent once
        (["a" * 6000, "b" * 6000], [1, 1]),
        (["a" * 20_000], [1]),  # alone, whatever its size
    ],
)
async def test_batches_are_no_larger_than_the_provider_takes(
    tmp_path: Path, texts: Sequence[str], sizes: Sequence[int]
) -> None:
    service = Service()
    assert await answers(tmp_path, service, texts) == texts
    assert [len(calls) for calls in service.sent] == sizes


async def interrupted(folder: Path, service: Service, texts: Sequence[str]) -> None:
    """As soon as the batch is on its way."""

    async def never(call: Call) -> Reply:
        raise AssertionError(call)

    pace = Pace(gather_s=0.001, poll_s=60)
    async with batching(folder, lambda _: service, never, say=lambda _: None, pace=pace) as ask:
        waiting = [asyncio.ensure_future(ask(Call("m", [{"role": "user", "content": text}]))) for text in texts]
        await until(lambda: service.looks == 1, "it waits")
        for each in waiting:
            each.cancel()
        raise KeyboardInterrupt


async def test_what_was_sent_before_an_interruption_is_not_sent_again(tmp_path: Path) -> None:
    service = Service()
    with pytest.raises(KeyboardInterrupt):
        await interrupted(tmp_path, service, ["a", "b"])
    assert await answers(tmp_path, service, ["a", "c"]) == ["a", "c"]
    assert await answers(tmp_path, service, ["b"]) == ["b"]  # which the run before this one did not want
    assert [[call.messages[0]["content"] for call in calls.values()] for calls in service.sent] == [["a", "b"], ["c"]]
    assert not list((tmp_path / "batches").iterdir())
