import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from fastchat.llm_judge.places import Parallel, Waiting
from fastchat.llm_judge.running import Done, ModelClosed, Unasked, run
from fastchat.llm_judge.settings import ReachSettings


def at(model: str) -> Sequence[str]:
    return {"a": ["one"], "b": ["one"], "c": ["two"], "d": ["one", "two"]}.get(model, [])


def taken(jobs: Mapping[str, Sequence[str]], parallel: Parallel) -> list[str]:
    waiting = Waiting(jobs, parallel)
    found = []
    while turn := waiting.take():
        found.append(turn.job)
    return found


@pytest.mark.parametrize(
    ("models", "total", "expected"),
    [
        ("ac", None, {"a": 2, "c": 2}),  # one address each
        ("ab", None, {"a": 1, "b": 1}),  # the same address
        ("d", None, {"d": 4}),  # two addresses
        ("acd", 3, {"a": 1, "c": 1, "d": 1}),  # the ceiling
        ("x", None, {"x": 2}),  # nobody knows where
    ],
)
def test_each_address_has_its_places(models: str, total: int | None, expected: dict[str, int]) -> None:
    jobs = {model: [model] * 10 for model in models}
    assert Counter(taken(jobs, Parallel(2, total, at))) == expected


def test_models_take_turns() -> None:
    assert taken({"a": "12", "b": "345"}, Parallel(9)) == ["1", "3", "2", "4", "5"]


def test_what_is_gathered_waits_together_beyond_the_ceiling() -> None:
    jobs = {"a": ["a"] * 10, "c": ["c"] * 10}
    assert Counter(taken(jobs, Parallel(2, 1, at, is_gathered="c".__eq__))) == {"a": 1, "c": 10}


def test_a_place_that_is_given_back_is_for_the_same_address() -> None:
    waiting = Waiting({"a": ["a1", "a2"], "c": ["c1", "c2"]}, Parallel(1, None, at))
    first, second = waiting.take(), waiting.take()
    assert first is not None
    assert second is not None
    assert waiting.take() is None
    waiting.give_back(second)
    third = waiting.take()
    assert third is not None
    assert (first.job, second.job, third.job) == ("a1", "c1", "c2")


async def test_a_slow_server_does_not_hold_up_another() -> None:
    done: list[str] = []
    is_over = asyncio.Event()

    async def work(job: str) -> None:
        if job == "a":
            await is_over.wait()
        done.append(job)
        if done.count("c") == 5:
            is_over.set()

    async with asyncio.timeout(10):
        tally = await run({"a": "aaa", "c": "ccccc"}, work, parallel=Parallel(1, 2, at), on_done=lambda _: None)
    assert done == [*"ccccc", *"aaa"]
    assert tally.done == 8


async def test_a_model_that_is_closed_leaves_its_jobs_and_the_others_go_on() -> None:
    recorded: list[Done[str, str]] = []

    async def work(job: str) -> str:
        if job == "a":
            raise ModelClosed("a", "wrong key")
        return job

    tally = await run({"a": "aaa", "c": "cc"}, work, parallel=Parallel(1), on_done=recorded.append)
    assert tally.unasked == {"a": Unasked(3, "wrong key")}
    assert [each.result for each in recorded] == ["c", "c"]


async def test_models_at_one_server_share_its_address(tmp_path: Path) -> None:
    ports = {"a": 1, "b": 1, "c": 2}
    entries = {name: {"model_name": name, "api_base": f"http://127.0.0.1:{port}/v1"} for name, port in ports.items()}
    (tmp_path / "endpoints.json").write_text(json.dumps(entries))
    settings = ReachSettings(register_api_endpoint_file=tmp_path / "endpoints.json", model_path="builtin", model_id="m")
    async with settings.open_reach([*ports, "m"]) as reach:
        addresses = {name: reach.addresses(name) for name in [*ports, "m"]}
    assert addresses["a"] == addresses["b"] == ["http://127.0.0.1:1"]
    assert addresses["c"] == ["http://127.0.0.1:2"]
    assert len(addresses["m"]) == 1
