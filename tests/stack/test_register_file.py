"""A register file given to the commands, as processes: models of others beside our own, or alone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from fastchat.protocol.control import TOKEN_ENV
from tests.client.providers.dialects import WIRES
from tests.client.providers.servers import FakeProvider, serving
from tests.stack.conftest import client_of
from tests.stack.system import Process, System, until

pytestmark = pytest.mark.xdist_group("stack-failures")

NAME = "A Gemini of ours"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Runs a command that listens; all are stopped at the end."""
    running: list[Process] = []

    def run(*arguments: str) -> Process:
        process = Process(f"process-{len(running)}", tmp_path, list(arguments), {})
        process.start()
        running.append(process)
        return process

    yield run
    for process in running:
        process.stop()


def write(folder: Path, url: str, **changes: Any) -> str:
    entry = {"model_name": "gemini-x", "api_type": "gemini", "api_base": url, "api_key": "k", "anony_only": False}
    file = folder / "api_endpoints.json"
    file.write_text(json.dumps({NAME: entry | changes}))
    return str(file)


async def ask(client: openai.AsyncOpenAI, model: str) -> str | None:
    answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello?"}])
    return answer.choices[0].message.content


async def is_up(client: openai.AsyncOpenAI, *models: str) -> bool:
    try:
        return {card.id for card in (await client.models.list()).data} >= set(models)
    except openai.APIError:
        return False


async def test_the_api_server_serves_the_file_without_a_controller(
    tmp_path: Path, start: Callable[..., Process]
) -> None:
    async with serving(FakeProvider(WIRES["gemini"])) as url:
        api = start("fastchat.serve.openai_api_server", "--controller", "", "--register", write(tmp_path, url))
        async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key="EMPTY", max_retries=0) as client:
            await until(lambda: is_up(client, NAME), "the API server is up")
            assert await ask(client, NAME) == "Hello wörld"
            with pytest.raises(openai.NotFoundError):
                await ask(client, "vicuna-7b")


async def test_what_is_registered_with_a_controller_is_served_beside_its_workers(
    new_system: Callable[..., System], tmp_path: Path
) -> None:
    async with serving(FakeProvider(WIRES["gemini"])) as url:
        system = new_system({TOKEN_ENV: "only ours"})  # a controller hands keys only to those who show this
        system.worker("echo", engine={})
        registering = ["fastchat.serve.register_worker", "--controller", system.controller.url]
        system.start_command("register", [*registering, "--register", write(tmp_path, url)])
        async with client_of(system) as client:
            await until(lambda: is_up(client, NAME, "echo"), "both are served")
            assert await ask(client, NAME) == "Hello wörld"
            assert await ask(client, "echo") == "Hello?"


def test_a_wrong_file_is_said_before_anything_is_served(tmp_path: Path, start: Callable[..., Process]) -> None:
    file = write(tmp_path, "http://127.0.0.1:9", api_type="palm")
    api = start("fastchat.serve.openai_api_server", "--register-api-endpoint-file", file)
    assert api.wait() == 2
    assert f"{NAME!r}: api_type: 'palm' leads nowhere any more" in api.logged()
