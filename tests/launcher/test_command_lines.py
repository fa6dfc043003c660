"""How the children are started."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.launcher.command_lines import CommandLines
from fastchat.launcher.config import Config, LocalModel
from fastchat.launcher.ports import Ports
from fastchat.launcher.processes import Command

PARENT_FD = 97


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTCHAT_API_KEYS", "FASTCHAT_CONTROLLER_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ports() -> Iterator[Ports]:
    with closing(Ports.open(Config(port=0))) as ports:
        yield ports


def prepare(ports: Ports, folder: Path, **fields: object) -> CommandLines:
    config = Config.model_validate({"log_dir": folder / "logs"} | fields)
    return CommandLines.prepare(config, ports, PARENT_FD)


def all_commands(commands: CommandLines) -> list[Command]:
    assert commands.ports.web is not None
    worker = commands.for_worker("worker-1", LocalModel(model="builtin"))
    return [commands.for_controller(), commands.for_gateway(), commands.for_web(commands.ports.web), worker]


def test_servers_inherit_their_sockets_and_everybody_the_pipe(ports: Ports, tmp_path: Path) -> None:
    controller, gateway, web, worker = all_commands(prepare(ports, tmp_path))

    assert ports.web is not None
    for command, listener in ((controller, ports.controller), (gateway, ports.gateway), (web, ports.web)):
        assert command.pass_fds == (PARENT_FD, listener.socket.fileno())
        assert command.argv[command.argv.index("--fd") + 1] == str(listener.socket.fileno())
    assert worker.pass_fds == (PARENT_FD,)
    assert worker.environ["FASTCHAT_PARENT_FD"] == str(PARENT_FD)


def test_no_secret_stands_on_a_command_line(ports: Ports, tmp_path: Path) -> None:
    commands = prepare(ports, tmp_path, api_keys=["sk-team"])

    secrets = [commands.token, commands.web_key, "sk-team"]
    for command in all_commands(commands):
        assert not any(secret in argument for secret in secrets if secret for argument in command.argv)


def test_all_share_one_token_made_for_this_run(ports: Ports, tmp_path: Path) -> None:
    tokens = {command.environ["FASTCHAT_CONTROLLER_TOKEN"] for command in all_commands(prepare(ports, tmp_path))}

    assert len(tokens) == 1
    assert prepare(ports, tmp_path).token not in tokens


def test_a_token_of_the_environment_is_kept(ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCHAT_CONTROLLER_TOKEN", "given")

    assert prepare(ports, tmp_path).token == "given"


def test_only_the_gateway_gets_the_api_keys(ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCHAT_API_KEYS", "sk-one, sk-two")

    controller, gateway, web, worker = all_commands(commands := prepare(ports, tmp_path))

    assert gateway.environ["FASTCHAT_API_KEYS"] == f"sk-one,sk-two,{commands.web_key}"
    assert web.environ["FASTCHAT_API_KEY"] == commands.web_key
    for command in (controller, web, worker):
        assert "FASTCHAT_API_KEYS" not in command.environ


def test_keys_of_the_configuration_replace_those_of_the_environment(
    ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTCHAT_API_KEYS", "sk-old")

    assert prepare(ports, tmp_path, api_keys=["sk-new"], web=False).api_keys == ("sk-new",)


def test_an_open_system_has_no_keys(ports: Ports, tmp_path: Path) -> None:
    commands = prepare(ports, tmp_path)

    assert not commands.needs_key
    assert "FASTCHAT_API_KEYS" not in commands.for_gateway().environ


def test_a_worker_is_told_all_the_entry_says(ports: Ports, tmp_path: Path) -> None:
    model = LocalModel(
        model="m.gguf",
        names=("a", "b"),
        engine="llamacpp",
        context_length=512,
        slots=3,
        gpus=(0, 2),
        gpu_memory_fraction=0.5,
        engine_args={"n": 1},
        adapters={"x": "x.gguf"},
    )

    line = " ".join(prepare(ports, tmp_path).for_worker("worker-a-1", model).argv)

    for part in (
        "--model-path m.gguf --engine llamacpp --model-names a,b",
        "--context-length 512",
        "--limit-worker-concurrency 3",
        '--engine-args {"n": 1, "gpu_memory_fraction": 0.5}',
        '--adapters {"x": "x.gguf"}',
        "--gpus 0,2",
    ):
        assert part in line


def test_a_folder_for_logs_that_cannot_be_made_is_named(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file is in the way")

    with pytest.raises(SetupError, match="Logs cannot be written to"):
        prepare(ports, tmp_path)
