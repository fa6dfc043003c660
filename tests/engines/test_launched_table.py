"""How each server is told what ours are told, and what it is taken to have said."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands.launched import LaunchedSettings, parse
from fastchat.core.errors import SetupError
from fastchat.engines.launched.program import find_program, own_command
from fastchat.engines.launched.table import as_flags, load_kinds
from fastchat.engines.launched.templates import format_for
from fastchat.engines.launched.upstream import Card, load_in, served_models
from fastchat.protocol.control import Load, ServedModel

KINDS = load_kinds()


def no_file(text: str) -> str:
    return f"file of {text}"


@pytest.mark.parametrize(
    ("kind", "wanted", "words"),
    [
        ("vllm", {"host": "127.0.0.1", "port": 8001}, "--host 127.0.0.1 --port 8001"),
        ("vllm", {"model_names": ("a", "b")}, "--served-model-name a b"),
        ("vllm", {"num_gpus": 2}, "--tensor-parallel-size 2"),
        ("vllm", {"gpu_memory_utilization": 0.25}, "--gpu-memory-utilization 0.25"),
        ("vllm", {"context_length": 18000}, "--max-model-len 18000"),
        ("vllm", {"limit_worker_concurrency": 64}, "--max-num-seqs 64"),
        (
            "vllm",
            {"tokenizer": "hf-internal-testing/llama-tokenizer"},
            "--tokenizer hf-internal-testing/llama-tokenizer",
        ),
        ("vllm", {"quantization": "awq"}, "--quantization awq"),
        ("vllm", {"dtype": "bfloat16", "revision": "v1"}, "--dtype bfloat16 --revision v1"),
        ("vllm", {"seed": 0}, "--seed 0"),
        ("vllm", {"conv_template": "{{ x }}"}, ["--chat-template", "file of {{ x }}"]),
        ("vllm", {"adapters": {"sql": "/a", "chat": "/b"}}, "--enable-lora --lora-modules sql=/a chat=/b"),
        ("vllm", {"trust_remote_code": True}, "--trust-remote-code"),
        ("vllm", {"trust_remote_code": False, "seed": None, "adapters": {}}, ""),
        ("sglang", {"model_names": ("a", "b")}, "--served-model-name a"),
        ("sglang", {"port": 1}, "--port 1 --enable-metrics"),
        ("sglang", {"num_gpus": 4, "gpu_memory_utilization": 0.5}, "--tp-size 4 --mem-fraction-static 0.5"),
        ("sglang", {"context_length": 4096, "tokenizer": "t"}, "--context-length 4096 --tokenizer-path t"),
        ("sglang", {"limit_worker_concurrency": 9, "seed": 3}, "--max-running-requests 9 --random-seed 3"),
        ("sglang", {"adapters": {"sql": "/a"}}, "--enable-lora --lora-paths sql=/a"),
        ("sglang", {"api_key": "k"}, "--api-key k"),
        ("mlx", {"model_names": ("a",), "port": 1}, "--port 1"),
        ("mlx", {"conv_template": "{{ x }}"}, ["--chat-template", "{{ x }}"]),
        ("mlx", {"limit_worker_concurrency": 8, "draft_model": "d"}, "--decode-concurrency 8 --draft-model d"),
        ("lightllm", {"model_names": ("a", "b"), "num_gpus": 2}, "--model_name a --tp 2"),
        ("lightllm", {"context_length": 4096}, "--max_req_total_len 4096"),
        ("lightllm", {"trust_remote_code": True}, "--trust_remote_code"),
        ("launch", {"host": "h", "port": 1, "model_names": ("a",), "context_length": 5}, ""),
    ],
)
def test_each_server_is_told_in_its_own_words(kind: str, wanted: dict[str, Any], words: str | list[str]) -> None:
    assert KINDS[kind].words(wanted, no_file) == (words.split() if isinstance(words, str) else words)


def test_a_draft_model_becomes_json_for_vllm() -> None:
    flag, value = KINDS["vllm"].words({"draft_model": 'a "small" one'}, no_file)
    assert flag == "--speculative-config"
    assert json.loads(value)["model"] == 'a "small" one'


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("mlx", {"quantization": "awq"}), ("mlx", {"adapters": {"a": "b"}}), ("lightllm", {"api_key": "k"})],
)
def test_what_a_server_cannot_be_told_is_refused(kind: str, wanted: dict[str, Any]) -> None:
    with pytest.raises(
        SetupError, match=f"{KINDS[kind].title} has nothing like --{next(iter(wanted)).replace('_', '-')}"
    ):
        KINDS[kind].words(wanted, no_file)


@pytest.mark.parametrize(
    ("arguments", "ours", "passed_on"),
    [
        ("--gpu_memory_utilization 0.9", {"gpu_memory_utilization": 0.9}, ""),
        ("--trust_remote_code", {"trust_remote_code": True}, ""),
        ("--model-path m", {"trust_remote_code": False}, ""),
        ("--tokenizer_mode slow --seed 1", {"seed": 1, "tokenizer": None}, "--tokenizer_mode slow"),
        ("--enforce-eager --swap-space=4 --model m", {"model_path": "m"}, "--enforce-eager --swap-space=4"),
        ("--max-model-len 18000", {"context_length": 18000}, ""),
        ("--tensor-parallel-size=2", {"num_gpus": 2}, ""),
        ("--max_total_token_num 6000 --mode a b", {}, "--max_total_token_num 6000 --mode a b"),
        (
            "--controller http://c --worker http://w",
            {"controller_address": "http://c", "worker_address": "http://w"},
            "",
        ),
        ("--port 1 -- --port 2 --log-level debug", {"port": 1}, "--port 2 --log-level debug"),
        ("-tp 2 -O3", {"num_gpus": None}, "-tp 2 -O3"),
        ("--model-names a,b", {"model_names": ("a", "b")}, ""),
    ],
)
def test_flags_are_ours_or_are_passed_on(arguments: str, ours: dict[str, Any], passed_on: str) -> None:
    settings, others = parse("vllm", KINDS["vllm"], arguments.split())
    assert {name: getattr(settings, name) for name in ours} == ours
    assert others == passed_on.split()


def test_settings_of_a_file_become_flags() -> None:
    engine_args = {"enforce-eager": True, "swap": False, "kv-cache-dtype": "fp8", "lora": ["a", "b"], "rope": {"x": 1}}
    flags = ["--enforce-eager", "--kv-cache-dtype", "fp8", "--lora", "a", "b", "--rope", '{"x": 1}']
    assert as_flags(engine_args) == flags


def test_the_load_is_what_the_gauges_say() -> None:
    metrics = (
        "# HELP vllm:num_requests_running Number\n"
        'vllm:num_requests_running{engine="0",model_name="m"} 3.0\n'
        'vllm:num_requests_running{engine="1",model_name="m"} 2.0\n'
        'vllm:num_requests_waiting{engine="0",model_name="m"} 7.0\n'
        'vllm:num_requests_waiting_by_reason{engine="0",reason="x"} 99.0\n'
    )
    assert load_in(metrics, KINDS["vllm"]) == Load(running=5, waiting=7)
    assert load_in(metrics, KINDS["sglang"]) is None


def test_names_are_the_servers_own_or_stand_for_them() -> None:
    like = ServedModel(name="?", context_length=2048, features=("chat",))
    cards = [Card(id="first", max_model_len=512), Card(id="sql", parent="first")]
    models = served_models(("first", "second"), cards, upstream=None, like=like)
    assert [(model.name, model.upstream_name, model.context_length) for model in models] == [
        ("first", None, 512),
        ("second", "first", 512),
        ("sql", None, 2048),
    ]
    [model] = served_models(("m",), [Card(id="/models/m")], upstream="default_model", like=like)
    assert (model.upstream_name, model.context_length, model.features) == ("default_model", 2048, ("chat",))
    [model] = served_models(("m",), [], upstream=None, like=like)
    assert model.upstream_name is None


def test_a_flag_of_its_own_can_add_a_feature() -> None:
    assert "tools" not in KINDS["vllm"].features_with(["serve", "m"])
    assert "tools" in KINDS["vllm"].features_with(["serve", "m", "--tool-call-parser", "hermes"])


def test_a_model_without_a_template_is_given_one_of_the_catalogue(tmp_path: Path) -> None:
    bare, complete = tmp_path / "vicuna-7b-v1.5", tmp_path / "own" / "vicuna-7b-v1.5"
    bare.mkdir()
    complete.mkdir(parents=True)
    (complete / "chat_template.jinja").write_text("{{ messages[0].content }}")
    chosen = format_for(None, str(bare), None).format
    assert chosen is not None
    assert "USER" in chosen.template
    assert format_for(None, str(complete), None).format is None
    wanted = format_for(str(complete / "chat_template.jinja"), "org/any", None).format
    assert wanted is not None
    assert wanted.template == "{{ messages[0].content }}"
    with pytest.raises(SetupError, match="--conv-template: There is no prompt format"):
        format_for("no-such-format", "org/any", None)


def test_a_server_that_is_not_there_is_told_how_to_get(tmp_path: Path) -> None:
    kind = KINDS["vllm"].model_copy(update={"package": "no_such_package"})
    with pytest.raises(SetupError, match=r"vLLM is not installed here.*--python or FASTCHAT_VLLM_PYTHON"):
        find_program("vllm", kind, "m", python=None, environ={"PATH": str(tmp_path)})
    with pytest.raises(SetupError, match=r"has no package 'no_such_package'. Get it: "):
        find_program("vllm", kind, "m", python=sys.executable, environ={})
    with pytest.raises(SetupError, match="no interpreter"):
        find_program("vllm", kind, "m", python=None, environ={"FASTCHAT_VLLM_PYTHON": "/nowhere/python"})


def test_a_program_is_found_in_its_environment_or_on_the_path(tmp_path: Path) -> None:
    kind = KINDS["mlx"].model_copy(update={"package": "pytest"})
    found = find_program("mlx", kind, "m", python=sys.executable, environ={})
    assert found == [sys.executable, "-m", "mlx_lm", "server", "--model", "m"]
    program = tmp_path / "mlx_lm.server"
    program.touch(mode=0o755)
    kind = KINDS["mlx"].model_copy(update={"package": "no_such_package"})
    found = find_program("mlx", kind, "m", python=None, environ={"PATH": str(tmp_path)})
    assert found == [str(program), "--model", "m"]


def test_a_command_of_the_users_own_is_filled_in() -> None:
    words = own_command(
        "sh -c 'serve {model}' --at {host}:{port}", {"model": "a b", "host": "h", "port": "1"}, {"PATH": "/bin"}
    )
    assert words == ["/bin/sh", "-c", "serve a b", "--at", "h:1"]
    with pytest.raises(SetupError, match="does not say where the port goes"):
        own_command("serve", {}, {})
    with pytest.raises(SetupError, match="no program 'no-such-server'"):
        own_command("no-such-server {port}", {"port": "1"}, {"PATH": "/bin"})


def test_every_setting_of_the_table_is_one_of_ours() -> None:
    ours = set(LaunchedSettings.model_fields)
    assert {flag for kind in KINDS.values() for flag in kind.flags} <= ours
