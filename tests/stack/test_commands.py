"""FastChat's commands one by one, as its users type them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import openai
import pytest

from tests.stack.conftest import client_of
from tests.stack.system import System, until

pytestmark = pytest.mark.xdist_group("stack-failures")


def run(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=system.controller.env)


async def test_a_message_reaches_a_model_and_its_answer_is_printed(new_system: Callable[[], System]) -> None:
    system = new_system()
    system.worker("vicuna-7b", engine={"reply": "I am well."})
    await system.until_served("vicuna-7b")
    done = run(
        system,
        *("fastchat.serve.test_message", "--model-name", "vicuna-7b", "--controller", system.controller.url),
        *("--message", "How are you?"),
    )
    assert done.returncode == 0, done.stderr
    assert "Models: ['vicuna-7b']" in done.stdout
    assert "How are you?" in done.stdout
    assert "I am well." in done.stdout
    unknown = run(system, "fastchat.serve.test_message", "--model", "other", "--controller", system.controller.url)
    assert unknown.returncode == 2
    assert "'other' does not exist" in unknown.stderr


async def test_a_worker_can_be_asked_without_a_controller(new_system: Callable[[], System]) -> None:
    system = new_system()
    worker = system.worker("m", engine={"reply": "Here."})
    await system.until_served("m")
    done = run(system, "fastchat.serve.test_message", "--model-name", "m", "--worker", worker.url)
    assert "Here." in done.stdout


async def test_a_model_goes_by_the_last_part_of_its_path(new_system: Callable[[], System], tmp_path: Path) -> None:
    system = new_system()
    folder = tmp_path / "weights" / "vicuna-7b"
    folder.mkdir(parents=True)
    worker = system.start_server(
        "worker",
        [
            *("fastchat.serve.model_worker", "--engine", "scripted", "--model-path", f"{folder}/"),
            *("--controller", system.controller.url, "--stream-interval", "2"),
        ],
    )
    await system.until_served("vicuna-7b")
    assert f"Uvicorn running on {worker.url}" in worker.logged()
    assert "--stream-interval has no effect" in worker.logged()


async def test_one_process_serves_several_models(new_system: Callable[[], System]) -> None:
    system = new_system()
    system.start_server(
        "multi",
        [
            *("fastchat.serve.multi_model_worker", "--controller-address", system.controller.url),
            *("--model-path", "scripted", "--model-names", "a,b", "--model-path", "scripted", "--model-names", "c"),
        ],
    )
    for name in "abc":
        await system.until_served(name)
    async with client_of(system) as client:
        assert [model.id async for model in client.models.list()] == ["a", "b", "c"]
        answer = await client.completions.create(model="c", prompt="x")
        assert answer.model == "c"


async def test_a_server_that_is_not_ours_is_announced_under_another_name(
    new_system: Callable[[], System], session: aiohttp.ClientSession
) -> None:
    system, other = new_system(), new_system()
    other.worker("their-name", engine={"reply": "From afar."})
    await other.until_served("their-name")
    registering = system.start_command(
        "register",
        [
            *("fastchat", "register", "--worker-name", f"{other.url}/v1/", "--controller", system.controller.url),
            *("--model-names", "our name", "--upstream-model", "their-name"),
        ],
    )
    await system.until_served("our name")
    body = {"model": "our name", "messages": [{"role": "user", "content": "hi"}]}
    async with session.post(f"{system.url}/v1/chat/completions", json=body) as reply:
        assert (await reply.json())["choices"][0]["message"]["content"] == "From afar."
    registering.stop()
    assert registering.returncode == 0
    await system.until_served("our name", workers=0)


async def test_shutdown_stops_what_it_is_told_to_and_nothing_else(new_system: Callable[[], System]) -> None:
    system = new_system()
    worker = system.worker("m")
    await system.until_served("m")
    done = run(system, "fastchat.serve.shutdown_serve", "--down", "model_worker")
    assert done.returncode == 0, done.stdout
    assert worker.wait() == 0
    assert system.controller.returncode is None
    run(system, "fastchat.serve.shutdown_serve", "--down", "all")
    await until(lambda: system.controller.returncode == 0 == system.gateway.returncode, "everything stopped")
    assert "Nothing of ours is running" in run(system, "fastchat.serve.shutdown_serve").stdout


async def test_defaults_for_requests_that_do_not_say(new_system: Callable[[], System]) -> None:
    system = new_system()
    flags = ["--model-path", "scripted", "--default-sampling", '{"max_tokens": 3}']
    system.worker("m", flags=flags)
    await system.until_served("m")
    async with client_of(system) as client:
        for max_tokens, tokens in ((openai.NOT_GIVEN, 3), (5, 5)):
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "one two three four five"}], max_tokens=max_tokens
            )
            assert answer.usage is not None
            assert answer.usage.completion_tokens == tokens
