"""What users notice when parts of the system die."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable

import aiohttp
import openai
import pytest

from tests.stack.conftest import client_of
from tests.stack.system import Process, System, until

pytestmark = pytest.mark.xdist_group("stack-failures")


def ask(text: str, **more: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


async def worker_load(session: aiohttp.ClientSession, worker: Process, name: str = "running") -> float:
    async with session.get(f"{worker.url}/metrics") as reply:
        page = await reply.text()
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(f"fastchat_requests_{name}{{")
    )


async def test_a_worker_killed_before_the_first_byte_costs_nobody_an_answer(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    slow = system.worker("m", engine={"first_token_ms": 60_000})
    await system.until_served("m")
    asking = asyncio.create_task(session.post(f"{system.url}/v1/chat/completions", json=ask("hello")))
    streaming = asyncio.create_task(session.post(f"{system.url}/v1/chat/completions", json=ask("hello", stream=True)))

    async def both_run() -> bool:
        return await worker_load(session, slow) == 2

    await until(both_run, "both requests run")
    system.worker("m")
    await system.until_served("m", workers=2)
    slow.kill()
    reply = await asking
    assert reply.status == 200
    assert (await reply.json())["choices"][0]["message"]["content"] == "hello"
    stream = await (await streaming).text()
    assert stream.endswith("data: [DONE]\n\n")


async def test_a_worker_killed_in_the_middle_of_a_stream_ends_it_with_an_error_event(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    worker = system.worker("m", engine={"tokens": 100_000, "token_ms": 5})
    await system.until_served("m")
    async with session.post(f"{system.url}/v1/chat/completions", json=ask("hello", stream=True)) as reply:
        assert reply.status == 200
        await reply.content.readuntil(b"\n\n")
        worker.kill()
        events = (await reply.text()).strip().split("\n\n")
    assert json.loads(events[-1].removeprefix("data: "))["error"]["code"] == "worker_failed"
    assert all(event.startswith("data: {") and event.endswith("}") for event in events)


async def test_the_sdk_reports_a_broken_stream(new_system: Callable[[], System]) -> None:
    system = new_system()
    worker = system.worker("m", engine={"tokens": 100_000, "token_ms": 5})
    await system.until_served("m")
    async with client_of(system) as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        await anext(aiter(stream))
        worker.kill()
        with pytest.raises(openai.APIError, match="broke the connection"):
            await _read_to_the_end(stream)


async def _read_to_the_end(stream: AsyncIterator[object]) -> None:
    async for _ in stream:
        pass


async def test_a_controller_killed_and_restarted_fails_no_request(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    for _ in range(2):
        system.worker("m", engine={"tokens": 20, "token_ms": 5})
    await system.until_served("m", workers=2)
    is_over = False
    statuses: list[int] = []

    async def keep_asking() -> None:
        while not is_over:
            async with session.post(f"{system.url}/v1/chat/completions", json=ask("hello")) as reply:
                statuses.append(reply.status)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(keep_asking())
        await until(lambda: len(statuses) > 20, "load")
        system.controller.kill()
        seen = len(statuses)
        await until(lambda: len(statuses) > seen + 50, "answers without a controller")
        system.controller.start()
        await system.until_served("m", workers=2)
        seen = len(statuses)
        await until(lambda: len(statuses) > seen + 50, "answers with the new controller")
        is_over = True
    assert set(statuses) == {200}


async def test_a_worker_that_comes_before_its_controller_registers_when_it_is_there(
    new_system: Callable[[], System],
) -> None:
    system = new_system()
    system.controller.kill()
    worker = system.worker("m")
    await until(lambda: "trying until it answers" in worker.logged(), "a vain attempt")
    system.controller.start()
    await system.until_served("m")


async def test_a_client_that_leaves_frees_the_slot_at_once(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    worker = system.worker("m", engine={"tokens": 1_000_000, "token_ms": 5})
    await system.until_served("m")
    for body in (ask("x", stream=True), ask("x")):
        asking = asyncio.create_task(session.post(f"{system.url}/v1/chat/completions", json=body))

        async def runs() -> bool:
            return await worker_load(session, worker) == 1

        await until(runs, "the request runs")
        if body.get("stream"):
            (await asking).close()
        else:
            asking.cancel()

        async def is_free() -> bool:
            return await worker_load(session, worker) == 0

        await until(is_free, "the slot is free")


async def test_beyond_slots_and_queue_requests_get_429_with_retry_after(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    flags = ["--model-path", "scripted", "--engine-args", '{"first_token_ms": 600000}']
    worker = system.worker("m", flags=[*flags, "--limit-worker-concurrency", "2", "--max-waiting", "3"])
    await system.until_served("m")
    asking = [asyncio.create_task(session.post(f"{system.url}/v1/chat/completions", json=ask("x"))) for _ in range(5)]

    async def is_full() -> bool:
        return await worker_load(session, worker, "waiting") == 3

    await until(is_full, "a full queue")
    async with session.post(f"{system.url}/v1/chat/completions", json=ask("x")) as reply:
        assert reply.status == 429
        assert int(reply.headers["retry-after"]) >= 1
        assert (await reply.json())["error"]["code"] == "queue_full"
    for one in asking:
        one.cancel()


async def test_a_request_with_many_answers_neither_waits_for_all_slots_nor_keeps_them(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    flags = ["--model-path", "scripted", "--limit-worker-concurrency", "2"]
    worker = system.worker("m", flags=flags)
    await system.until_served("m")
    endless = {**ask("x", stream=True), "scripted": {"tokens": 1_000_000, "token_ms": 5}, "max_tokens": 8000}
    async with session.post(f"{system.url}/v1/chat/completions", json=endless) as stream:
        await stream.content.readuntil(b"\n\n")
        assert await worker_load(session, worker) == 1
        for body in (ask("wide", n=5), ask("narrow")):
            async with session.post(f"{system.url}/v1/chat/completions", json=body) as reply:
                assert reply.status == 200


async def test_a_full_worker_sends_its_overflow_to_another(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    flags = ["--model-path", "scripted", "--limit-worker-concurrency", "1", "--max-waiting", "0", "--engine-args"]
    for _ in range(2):
        system.worker("m", flags=[*flags, '{"tokens": 30, "token_ms": 5}'])
    await system.until_served("m", workers=2)

    async def status() -> int:
        async with session.post(f"{system.url}/v1/chat/completions", json=ask("x")) as reply:
            return reply.status

    assert await asyncio.gather(status(), status()) == [200, 200]


async def test_a_draining_worker_finishes_what_runs_and_signs_off(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    leaving = system.worker("m", engine={"tokens": 200, "token_ms": 5})
    await system.until_served("m")
    async with session.post(f"{system.url}/v1/chat/completions", json=ask("hello", stream=True)) as reply:
        await reply.content.readuntil(b"\n\n")
        leaving.signal(signal.SIGTERM)
        system.worker("m")

        async def others_answer() -> bool:
            async with session.post(f"{system.url}/v1/chat/completions", json=ask("hi")) as other:
                return other.status == 200

        await until(others_answer, "the other worker answers")
        assert (await reply.text()).endswith("data: [DONE]\n\n")
    assert leaving.wait() == 0
    await system.until_served("m", workers=1)


async def test_a_model_whose_last_worker_died_is_unavailable_not_unknown(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    worker = system.worker("m")
    await system.until_served("m")
    worker.stop()

    async def is_gone() -> bool:
        async with session.get(f"{system.url}/v1/models") as reply:
            return (await reply.json())["data"] == []

    await until(is_gone, "the model is gone")
    async with session.post(f"{system.url}/v1/chat/completions", json=ask("x")) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (503, "no_worker")
        assert "retry-after" in reply.headers
    async with session.post(f"{system.url}/v1/chat/completions", json={**ask("x"), "model": "other"}) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (404, "model_not_found")
    async with session.get(f"{system.url}/ready") as reply:
        assert reply.status == 503


async def test_a_worker_killed_without_a_word_is_forgotten_within_seconds(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system = new_system()
    worker = system.worker("m")
    await system.until_served("m")
    worker.kill()
    await system.until_served("m", workers=0)
