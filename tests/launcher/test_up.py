"""The whole story of `fastchat up`, with real processes and scripted models."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engines.gguf_files import header
from tests.launcher.up import Up, start, up
from tests.launcher.watched import eventually

CONFIG = """\
web: false
models:
  - {model: scripted, names: [echo], replicas: 2}
  - {model: scripted, names: [polite], engine_args: {reply: "How do you do?"}}
"""
SLOW_TEXT = "one two three four five six seven eight " * 3
SLOWLY = {"scripted": {"reply": SLOW_TEXT, "token_ms": 50}}
FOR_EVER = {"scripted": {"reply": "on and on ", "tokens": 4000, "token_ms": 50}}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for all tests that leave it as they found it."""
    file = tmp_path_factory.mktemp("up") / "fastchat.yaml"
    file.write_text(CONFIG)
    with tempfile.TemporaryDirectory() as folder, up("--config", str(file), run_dir=Path(folder)) as system:
        yield system


@pytest.fixture
def run_dir() -> Iterator[Path]:
    # pytest's own folders have names too long for a socket
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


async def test_every_model_of_the_file_answers(system: Up) -> None:
    assert await system.chat("echo", "Hello, twin") == "Hello, twin"
    assert await system.chat("polite", "Hello") == "How do you do?"
    assert f"curl {system.url}/v1/chat/completions" in system.said


async def test_every_replica_is_a_process(system: Up) -> None:
    workers = (await system.models())["echo"]["workers"]

    assert [worker["name"] for worker in workers] == ["worker-echo-1", "worker-echo-2"]
    assert len({worker["pid"] for worker in workers}) == 2


async def test_a_killed_worker_is_replaced(system: Up) -> None:
    [worker] = (await system.models())["polite"]["workers"]
    os.kill(worker["pid"], signal.SIGKILL)

    assert await system.chat("polite", "Are you there?") == "How do you do?"

    [successor] = (await system.models())["polite"]["workers"]
    assert (worker["restarts"], successor["restarts"]) == (0, 1)


@pytest.mark.parametrize("server", ["controller", "api"])
async def test_a_killed_server_is_replaced_on_its_old_port(system: Up, server: str) -> None:
    [victim] = system.parts(server)
    victim.kill()

    # Whoever comes while the gateway is away waits in line on its socket.
    assert await system.chat("echo", "Still there?") == "Still there?"
    await eventually(lambda: [part.pid for part in system.parts(server)] not in ([], [victim.pid]))


async def test_models_come_and_go_under_running_streams(system: Up) -> None:
    assert await system.command("models", "add", "scripted", "--name", "guest") == "guest is ready.\n"
    streams = [system.stream(model, "hi", **SLOWLY) for model in ("echo", "guest")]
    texts = [await anext(stream) + await anext(stream) for stream in streams]

    async with system.remote() as remote:
        await remote.remove("guest")
        states = {model.names[0]: model.state for model in (await remote.status()).models}

    assert states == {"echo": "ready", "polite": "ready", "guest": "draining"}
    for text, stream in zip(texts, streams, strict=True):
        assert text + "".join([more async for more in stream]) == SLOW_TEXT
    async with system.remote() as remote:
        assert [model async for model in remote.follow("guest") if model.state != "draining"] == []


async def test_a_hosted_model_is_served_beside_our_own(system: Up) -> None:
    added = await system.command("models", "add", "polite", "--endpoint", f"{system.url}/v1", "--name", "far")

    assert added == "far is ready.\n"
    assert await system.chat("far", "Hello") == "How do you do?"
    assert await system.command("models", "remove", "far") == "far is gone.\n"


@pytest.fixture
def hollow(tmp_path: Path) -> Path:
    """A model file with nothing wrong in its header, and nothing after it: only loading it tells."""
    file = tmp_path / "hollow.gguf"
    file.write_bytes(header({"general.architecture": "llama", "llama.context_length": 8192}))
    return file


async def test_a_model_that_cannot_start_leaves_the_others_alone(system: Up, hollow: Path) -> None:
    added = await system.command("models", "add", str(hollow), "--name", "bad")
    assert added.startswith("error: bad cannot start. ")

    assert await system.chat("echo", "Hello") == "Hello"
    assert await system.command("models", "remove", "bad") == "bad is gone.\n"


async def test_what_the_engine_refuses_is_not_added(system: Up) -> None:
    output = await system.command("models", "add", "scripted", "--name", "bad", "--engine-args", '{"rply": "x"}')

    assert output.startswith("error: engine_args of the engine 'scripted': there is no 'rply'. Allowed: ")
    assert "bad" not in await system.models()


async def test_what_does_not_fit_is_not_added(system: Up) -> None:
    output = await system.command("models", "add", "scripted", "--name", "many", "--replicas", "100000")

    assert "needs 8000.2 GB: echo 2 × 0.1 + polite 0.1 + many 100000 × 0.1; available" in output


async def test_a_taken_port_is_said_at_once(system: Up) -> None:
    port = system.url.rpartition(":")[2]

    output = await system.command("up", "scripted", "--port", port)

    assert output == f"error: Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another with --port.\n"


async def test_stopping_finishes_streams_and_leaves_nobody_behind(run_dir: Path) -> None:
    with up("scripted", "--no-web", run_dir=run_dir) as system:
        family = system.family
        stream = system.stream("scripted", "hi", **SLOWLY)
        begun = await anext(stream) + await anext(stream)

        system.process.terminate()

        assert begun + "".join([more async for more in stream]) == SLOW_TEXT
        said = await system.ended()
    assert system.process.returncode == 0
    assert [line for line in said.splitlines() if line.endswith("stopped")] == [
        "gateway: stopped",
        "worker-scripted-1: stopped",
        "controller: stopped",
    ]
    assert not any(process.is_running() for process in family)
    assert os.listdir(run_dir) == [f"logs-{system.url.rpartition(':')[2]}"]


async def test_the_second_interrupt_does_not_wait(run_dir: Path) -> None:
    with up("scripted", "--no-web", run_dir=run_dir) as system:
        family = system.family
        stream = system.stream("scripted", "hi", **FOR_EVER)
        await anext(stream)

        system.process.send_signal(signal.SIGINT)
        assert system.output.readline().startswith("Stopping;")
        system.process.send_signal(signal.SIGINT)

        assert "Stopping at once." in await system.ended()
        assert not any(process.is_running() for process in family)
        await stream.aclose()


async def test_no_child_survives_a_killed_parent(run_dir: Path) -> None:
    with up("scripted", "scripted:other", "--no-web", run_dir=run_dir) as system:
        family = system.family
        assert len(family) == 4

        system.process.kill()

        await eventually(lambda: all(map(is_gone, family)))


async def test_what_a_killed_system_leaves_behind_is_in_nobodys_way(run_dir: Path) -> None:
    with up("scripted", "--no-web", run_dir=run_dir) as killed:
        port, family = killed.url.rpartition(":")[2], killed.family
        killed.process.kill()
        await killed.ended()
        await eventually(lambda: all(map(is_gone, family)))
        assert {f"up-{killed.process.pid}.json", f"up-{port}.sock"} <= set(os.listdir(run_dir))

        assert (await killed.command("models", "list")).startswith("error: No `fastchat up` runs here")
        with up("scripted", "--no-web", run_dir=run_dir) as other:
            assert [*await other.models()] == ["scripted"]  # not confused by the socket of the dead
        with up("scripted", "--no-web", "--port", port, run_dir=run_dir) as successor:
            assert successor.url == killed.url
            assert await successor.chat("scripted", "Hello") == "Hello"


def is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # dead; whoever adopted it has not looked yet
    except psutil.NoSuchProcess:
        return True


def test_a_model_that_cannot_start_ends_it_with_the_reason(run_dir: Path, hollow: Path) -> None:
    with start("up", "--port", "0", "--no-web", str(hollow), run_dir=run_dir) as process:
        output, _ = process.communicate()

    assert process.returncode == 1
    assert "worker-hollow.gguf-1: cannot start\n" in output
    assert "\n  error: llama.cpp could not load " in output
    assert "error: No model could be started. The logs are in " in output
