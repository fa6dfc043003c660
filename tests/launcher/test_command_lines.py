"""How the children are started."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fastchat.commands.worker import WorkerSettings
from fastchat.core.errors import SetupError
from fastchat.launcher.command_lines import CommandLines
from fastchat.launcher.config import Config, LocalModel
from fastchat.launcher.ports import Ports
from fastchat.launcher.processes import Command
from fastchat.web.settings import WebSettings

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
    commands = prepare(ports, tmp_path, api_keys=["sk-team"], database_url="postgresql://u:pg-secret@db/x")

    secrets = [commands.token, "sk-team", "pg-secret"]
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

    controller, gateway, web, worker = all_commands(prepare(ports, tmp_path))

    assert gateway.environ["FASTCHAT_API_KEYS"] == "sk-one,sk-two"
    assert "--api-needs-key" in web.argv
    for command in (controller, web, worker):
        assert "FASTCHAT_API_KEYS" not in command.environ


def test_the_page_is_told_what_the_configuration_says_of_the_arena(ports: Ports, tmp_path: Path) -> None:
    said = {"data_dir": tmp_path / "data", "logins_file": tmp_path / "logins", "admins": ["ada", "bob"]}
    commands = prepare(ports, tmp_path, **said, database_url="postgresql://db/x", arenas={"legal": {"title": "Legal"}})

    assert ports.web is not None
    web = commands.for_web(ports.web)

    settings = WebSettings.from_argv(web.argv[web.argv.index("web") + 1 :], prog="web", description="")
    assert settings.arena
    assert settings.arenas_file is not None
    assert "Legal" in settings.arenas_file.read_text()
    assert settings.controller_url == ports.controller.url
    assert settings.data_dir == said["data_dir"]
    assert settings.gradio_auth_path == str(said["logins_file"])
    assert settings.admins == ("ada", "bob")
    assert web.environ["FASTCHAT_WEB_DATABASE_URL"] == "postgresql://db/x"


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
        num_gpus=2,
        max_gpu_memory="8GiB",
        device="cuda",
        dtype="float16",
        load_8bit=True,
        cpu_offloading=True,
        revision="v1.1",
        trust_remote_code=True,
        draft_model="draft.gguf",
        conv_template="vicuna_v1.1",
        default_sampling={"temperature": 0.2},
    )

    line = " ".join(prepare(ports, tmp_path).for_worker("worker-a-1", model).argv)

    for part in (
        "--model-path m.gguf --model-names a,b",
        "--engine llamacpp",
        "--context-length 512",
        "--limit-worker-concurrency 3",
        '--engine-args {"n": 1, "gpu_memory_fraction": 0.5}',
        '--adapters {"x": "x.gguf"}',
        "--gpus 0,2",
        "--device cuda --num-gpus 2 --max-gpu-memory 8GiB --dtype float16 --load-8bit --cpu-offloading --revision v1.1",
        "--trust-remote-code --draft-model draft.gguf --conv-template vicuna_v1.1",
        '--default-sampling {"temperature": 0.2}',
    ):
        assert part in line


def test_a_launched_server_is_a_command_of_its_own(ports: Ports, tmp_path: Path) -> None:
    model = LocalModel(
        model="org/model", engine="vllm", gpus=(0, 1), gpu_memory_fraction=0.25, engine_args={"kv-cache-dtype": "fp8"}
    )

    argv = prepare(ports, tmp_path).for_worker("worker-model-1", model).argv

    assert argv[4] == "vllm"
    line = " ".join(argv)
    for part in (
        "--model-path org/model --model-names model",
        "--gpus 0,1",
        "--num-gpus 2",
        "--gpu-memory-utilization 0.25",
        '--engine-args {"kv-cache-dtype": "fp8"}',
    ):
        assert part in line
    assert "--engine vllm" not in line


def test_a_folder_for_logs_that_cannot_be_made_is_named(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file is in the way")

    with pytest.raises(SetupError, match="Logs cannot be written to"):
        prepare(ports, tmp_path)


def test_every_flag_for_a_worker_is_one_it_has(ports: Ports, tmp_path: Path) -> None:
    entry = LocalModel(
        model="m",
        engine="hf",
        num_gpus=2,
        max_gpu_memory="8GiB",
        device="cuda",
        dtype="float16",
        load_4bit=True,
        cpu_offloading=True,
        revision="v1.1",
        trust_remote_code=True,
        draft_model="d",
        conv_template="one_shot",
        default_sampling={"temperature": 0.2},
    )
    argv = prepare(ports, tmp_path).for_worker("worker-a-1", entry).argv

    settings = WorkerSettings.from_argv(argv[argv.index("worker") + 1 :], prog="worker", description="")

    assert (settings.device, settings.dtype, settings.quantization) == ("cuda", "float16", "int4")
    assert (settings.num_gpus, settings.max_gpu_memory, settings.revision) == (2, "8GiB", "v1.1")
    assert (settings.cpu_offloading, settings.trust_remote_code, settings.draft_model) == (True, True, "d")
    assert (settings.conv_template, settings.default_sampling) == (["one_shot"], {"temperature": 0.2})


def test_what_an_entry_does_not_say_is_left_to_the_worker(ports: Ports, tmp_path: Path) -> None:
    line = prepare(ports, tmp_path).for_worker("worker-a-1", LocalModel(model="m", engine="hf")).argv
    assert not {"--device", "--dtype", "--revision", "--load-8bit", "--default-sampling"} & set(line)
