"""Launched servers through real processes: a controller, a gateway, our command, and a stand-in for vLLM."""

import asyncio
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.engines import fake_openai_server
from tests.stack.system import Process, System, until

MESSAGES = [{"role": "user", "content": "Hi"}]

pytestmark = pytest.mark.xdist_group("launched")


class Launches:
    """Servers that one test launches for one model; `steering` is where they look how to behave."""

    def __init__(self, folder: Path, system: System) -> None:
        self.steering = folder / "steering"
        self.steering.mkdir()
        self.system = system
        self.model = f"tiny-{folder.name}"
        self.workers: list[Process] = []

    def vllm(self, *flags: str) -> Process:
        return self.start("fastchat.serve.vllm_worker", "--model-path", "/models/tiny", *flags)

    def start(self, *arguments: str) -> Process:
        """Some command that launches; with names if it was given none."""
        controller = ["--controller", self.system.controller.url]
        names = [] if "--model-names" in arguments else ["--model-names", self.model]
        steering = ["--steering", str(self.steering)]
        name = f"{self.model}-{len(self.workers)}"
        self.workers.append(self.system.start_server(name, [*arguments, *controller, *names, *steering]))
        return self.workers[-1]

    async def until_served(self) -> None:
        await self.system.until_served(self.model)

    def steer(self, name: str, *, on: bool = True) -> None:
        file = self.steering / name
        if on:
            file.touch()
        else:
            file.unlink()

    def stop(self) -> None:
        for file in self.steering.iterdir():
            file.unlink()
        for worker in self.workers:
            worker.stop()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    fake_openai_server.install_as_vllm(folder)
    return folder


@pytest.fixture(scope="session")
def shared_system(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[System]:
    system = System(tmp_path_factory.mktemp("system"), {"PYTHONPATH": str(packages)})
    yield system
    system.stop()


@pytest.fixture
def launches(tmp_path: Path, shared_system: System) -> Iterator[Launches]:
    launches = Launches(tmp_path, shared_system)
    yield launches
    launches.stop()


def told(process: Process) -> list[str]:
    """The command line the server found."""
    [line] = [line for line in process.logged().splitlines() if "told: " in line]
    words: list[str] = json.loads(line.partition("told: ")[2])
    return words


def server_of(process: Process) -> psutil.Process:
    [guardian] = psutil.Process(process.pid).children()
    [server] = guardian.children()
    return server


def is_over(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def chat(launches: Launches, model: str | None = None) -> tuple[int, str]:
    """Status and answer."""
    body = {"model": model or launches.model, "messages": MESSAGES}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{launches.system.url}/v1/chat/completions", json=body) as reply,
    ):
        content = await reply.json()
    return reply.status, content["choices"][0]["message"]["content"] if reply.status == 200 else ""


async def announced(launches: Launches) -> list[dict[str, Any]]:
    """What the controller knows of the test's servers."""
    url = f"{launches.system.controller.url}/workers"
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        workers = (await reply.json())["workers"]
    return [worker for worker in workers if worker["models"][0]["name"].startswith(launches.model)]


async def test_a_server_is_told_started_and_serves_under_its_names(launches: Launches) -> None:
    launches.steer("cold")
    names = [launches.model, f"{launches.model}-too"]
    worker = launches.vllm(
        *("--model-names", ",".join(names), "--num-gpus", "2", "--gpu_memory_utilization", "0.25"),
        *("--adapters", '{"sql": "/adapters/sql"}', "--enforce-eager", "--kv-cache-dtype", "fp8"),
    )
    await until(lambda: "told: " in worker.logged(), "the server runs")
    assert "Uvicorn running" not in worker.logged()
    launches.steer("cold", on=False)
    for name in (*names, "sql"):
        await launches.system.until_served(name)
        assert await chat(launches, name) == (200, f"{name} says hello")
    assert f"Uvicorn running on {worker.url}" in worker.logged()
    assert told(worker) == [
        *("serve", "/models/tiny", "--host", "127.0.0.1", "--port", str(worker.port)),
        *("--served-model-name", *names, "--tensor-parallel-size", "2", "--gpu-memory-utilization", "0.25"),
        *("--enable-lora", "--lora-modules", "sql=/adapters/sql", "--enforce-eager", "--kv-cache-dtype", "fp8"),
        *("--steering", str(launches.steering)),
    ]
    [entry] = await announced(launches)
    assert (entry["models"][0]["context_length"], entry["capacity"]) == (777, 256)


async def test_only_those_who_know_the_controllers_secret_can_call(tmp_path: Path, packages: Path) -> None:
    system = System(tmp_path, {"PYTHONPATH": str(packages), "FASTCHAT_CONTROLLER_TOKEN": "the-controllers-secret"})
    launches = Launches(tmp_path, system)
    try:
        worker = launches.vllm()

        async def answers() -> bool:
            try:
                return (await chat(launches))[0] == 200
            except aiohttp.ClientError:  # the gateway is only starting
                return False

        await until(answers, "the gateway has learned the key")
        async with aiohttp.ClientSession() as session, session.get(f"{worker.url}/v1/models") as reply:
            assert reply.status == 401
        [inherited] = [line for line in worker.logged().splitlines() if "inherited: " in line]
        assert inherited.endswith("inherited: []")
    finally:
        system.stop()


async def test_a_server_that_is_killed_is_signed_off(launches: Launches) -> None:
    worker = launches.vllm()
    await launches.until_served()
    server_of(worker).kill()
    assert worker.wait() == 1
    assert "vLLM ended, by SIGKILL" in worker.logged()
    assert await announced(launches) == []


async def test_one_that_is_unwell_gets_nothing_new_until_it_is_well(launches: Launches) -> None:
    launches.vllm()
    await launches.until_served()

    async def is_spared() -> bool:
        return bool((await announced(launches))[0]["is_draining"])

    async def is_welcome() -> bool:
        return not await is_spared()

    launches.steer("unwell")
    await until(is_spared, "it is spared")
    launches.steer("unwell", on=False)
    await until(is_welcome, "it is asked again")


async def test_one_that_stays_unwell_is_ended(launches: Launches) -> None:
    worker = launches.vllm("--give-up-s", "0.1")
    await launches.until_served()
    server = server_of(worker).pid
    launches.steer("unwell")
    assert worker.wait() == 1
    assert "has not been well for 0.1 s" in worker.logged()
    assert is_over(server)


async def test_what_runs_is_finished_before_it_stops(launches: Launches) -> None:
    worker = launches.vllm()
    await launches.until_served()
    launches.steer("slow")
    asking = asyncio.create_task(chat(launches))

    async def is_running() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{worker.url}/metrics") as reply:
            return " 1.0" in await reply.text()

    async def has_left() -> bool:
        return await announced(launches) == []

    await until(is_running, "the request has arrived")
    worker.signal(signal.SIGTERM)
    await until(has_left, "it has signed off")
    assert worker.returncode is None
    launches.steer("slow", on=False)
    assert await asking == (200, f"{launches.model} says hello")
    assert worker.wait() == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_left_when_it_stops_or_is_killed(launches: Launches, ending: signal.Signals) -> None:
    worker = launches.vllm("--with-helper")
    await launches.until_served()
    family = [process.pid for process in psutil.Process(worker.pid).children(recursive=True)]
    assert len(family) == 3  # guardian, server, helper
    worker.signal(ending)
    worker.wait()
    await until(lambda: all(map(is_over, family)), "nothing is left")


async def test_any_server_can_be_launched_by_its_command_line(launches: Launches) -> None:
    command = f"{sys.executable} {fake_openai_server.__file__} --port {{port}} --host {{host}}"
    launches.start("fastchat", "launch", "--health", "/health", "--launch", command)
    await launches.until_served()
    assert await chat(launches) == (200, "its-own-name says hello")


def test_what_it_said_last_is_told_when_it_dies_early(packages: Path) -> None:
    done = run("fastchat.serve.vllm_worker", "--die-saying", "CUDA out of memory", PYTHONPATH=str(packages))
    assert done.returncode == 1
    error = done.stderr.partition("error: ")[2]
    assert error.startswith("vLLM ended before it was ready, with exit code 1. It said last:")
    assert error.rstrip().endswith("CUDA out of memory")


def test_flags_that_it_refuses_are_the_users_to_mend(packages: Path) -> None:
    done = run("fastchat.serve.vllm_worker", "--refused-flag", PYTHONPATH=str(packages))
    assert done.returncode == 2  # a supervisor does not try again
    assert "unrecognized arguments: --refused-flag" in done.stderr.partition("error: vLLM")[2]


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments, "--model-path", "/models/tiny", "--port", "0", "--no-register"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | env)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fastchat.serve.sglang_worker"], "SGLang is not installed here. Get it: on a GPU `pip install sglang`"),
        (["fastchat.serve.vllm_worker", "--python", "/no/python"], "There is no interpreter '/no/python'"),
        (["fastchat", "launch"], 'Give --launch "command'),
        (["fastchat", "launch", "--launch", "true {port}", "--host", "0.0.0.0"], "would let anybody"),
        (["fastchat", "mlx", "--python", sys.executable, "--quantization", "awq"], "has no package 'mlx_lm'"),
    ],
)
def test_what_a_person_has_to_mend_is_said_in_a_line(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["vllm", "sglang", "mlx", "lightllm"])
def test_the_old_names_say_how_they_are_used(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["worker", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(f"fastchat.serve.{kind}_worker", run_name="__main__")
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert f"usage: fastchat {kind}" in printed
    assert "--num-gpus" in printed
