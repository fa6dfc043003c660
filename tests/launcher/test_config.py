"""fastchat.yaml: what it may say, and what is said of it when it says something else."""

from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.launcher.config import Config, HostedModel, LocalModel
from fastchat.launcher.config_file import load

COMPLETE = """\
host: 0.0.0.0
port: 9000
controller_port: 21001
web: false
log_dir: logs
policy: shortest_queue
api_keys: [secret-1, env:TEAM_KEY]
models:
  - model: weights.gguf
    names: [first, second]
    engine: llamacpp
    context_length: 2048
    slots: 4
    replicas: 2
    gpus: [0, 1]
    gpu_memory_fraction: 0.4
    engine_args: {n_gpu_layers: 10}
    adapters: {pirate: pirate.gguf}
    num_gpus: 2
    max_gpu_memory: 8GiB
    device: cuda
    dtype: float16
    load_8bit: true
    load_4bit: false
    cpu_offloading: true
    revision: v1.1
    trust_remote_code: true
    draft_model: draft.gguf
    conv_template: vicuna_v1.1
    default_sampling: {temperature: 0.2, max_tokens: 100}
  - endpoint: https://api.example.com/v1/
    model: gpt-next
    names: [hosted]
    api_key: env:HOSTED_KEY
"""
ENVIRON = {"TEAM_KEY": "secret-2", "HOSTED_KEY": "secret-3"}


def config_of(folder: Path, text: str) -> Config:
    file = folder / "fastchat.yaml"
    file.write_text(text)
    return load(file, ENVIRON).config


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(SetupError) as caught:
        config_of(folder, text)
    return caught.value.message.replace(f"{folder}/", "")


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").touch()

    config = config_of(tmp_path, COMPLETE)

    local, hosted = config.models
    assert isinstance(local, LocalModel)
    assert isinstance(hosted, HostedModel)
    assert (config.host, config.port, config.controller_port, config.web) == ("0.0.0.0", 9000, 21001, False)
    assert [key.get_secret_value() for key in config.api_keys] == ["secret-1", "secret-2"]
    assert (local.names, local.gpus, local.engine_args) == (("first", "second"), (0, 1), {"n_gpu_layers": 10})
    assert (local.num_gpus, local.device, local.quantization, local.revision) == (2, "cuda", "int8", "v1.1")
    assert local.default_sampling == {"temperature": 0.2, "max_tokens": 100}
    assert hosted.api_key is not None
    assert hosted.api_key.get_secret_value() == "secret-3"


def test_an_empty_file_serves_the_built_in_model(tmp_path: Path) -> None:
    config = config_of(tmp_path, "")

    assert config == Config()
    assert config.models[0].served_names == ("smollm2-135m-instruct",)


def test_paths_are_read_against_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").touch()

    config = config_of(tmp_path, COMPLETE)

    assert config.models[0].model == str(tmp_path / "weights.gguf")
    assert config.log_dir == tmp_path / "logs"


def test_a_folder_called_like_the_built_in_model_does_not_take_its_place(tmp_path: Path) -> None:
    (tmp_path / "builtin").mkdir()

    assert config_of(tmp_path, "models: [{model: builtin}]").models[0].model == "builtin"


def test_the_name_of_a_model_is_the_last_part_of_its_path() -> None:
    assert LocalModel(model="/models/vicuna/").served_names == ("vicuna",)


@pytest.mark.parametrize("given", ["https://host", "https://host/", "https://host/v1", "https://host/v1/"])
def test_an_endpoint_is_taken_with_and_without_v1(given: str) -> None:
    assert HostedModel(endpoint=given, model="m").base_url == "https://host"


def test_keys_are_not_shown_when_a_configuration_is_printed(tmp_path: Path) -> None:
    assert "secret" not in repr(config_of(tmp_path, COMPLETE))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "port: 8000\nhots: x\n",
            "fastchat.yaml:2: hots: there is no such key; did you mean 'host'? Allowed here: "
            "admins, api_keys, api_keys_file, arenas, controller_port, data_dir, database_url, endpoints, host, "
            "log_dir, logins_file, models, policy, port, trusted_proxies, web",
        ),
        (
            "models:\n  - model: a\n    slot: 3\n",
            "fastchat.yaml:3: models[0].slot: there is no such key; did you mean 'slots'? Allowed here: adapters, "
            "context_length, conv_template, cpu_offloading, default_sampling, device, draft_model, dtype, engine, "
            "engine_args, gpu_memory_fraction, gpus, load_4bit, load_8bit, max_gpu_memory, model, names, num_gpus, "
            "replicas, revision, slots, trust_remote_code",
        ),
        (
            "models:\n  - endpoint: http://a\n    model: b\n    replicas: 2\n",
            "fastchat.yaml:4: models[0].replicas: there is no such key; Allowed here: api_key, context_length, "
            "endpoint, model, names, slots",
        ),
        (
            "models:\n  - model: a\n  - model: b\n    replicas: many\n",
            "fastchat.yaml:4: models[1].replicas: 'many' was given; it should be a valid integer, unable to parse "
            "string as an integer",
        ),
        ("models:\n  - names: [a]\n", "fastchat.yaml:2: models[0]: 'model' is missing"),
        ("models:\n  - hello\n", "fastchat.yaml:2: models[0]: 'hello' was given; it should be a mapping"),
        (
            "models:\n  - model: a\n    names: b\n",
            "fastchat.yaml:3: models[0].names: 'b' was given; it should be a list",
        ),
        (
            "models:\n  - model: a\n    names: ['b,c']\n",
            "fastchat.yaml:3: models[0].names[0]: 'b,c' was given; a name holds no comma; write a list of names",
        ),
        (
            "models: []\n",
            "fastchat.yaml:1: models: [] was given; it should name at least one model, or be left out for the "
            "built-in one",
        ),
        (
            "models:\n  - endpoint: ftp://a\n    model: b\n",
            "fastchat.yaml:2: models[0].endpoint: 'ftp://a' was given; it should be an address that begins with "
            "http:// or https://",
        ),
        (
            "models:\n  - model: a\n    gpu_memory_fraction: 0.5\n",
            "fastchat.yaml:2: models[0]: gpu_memory_fraction is a share of each GPU in 'gpus', which is empty",
        ),
        (
            "models:\n  - model: a\n    gpus: [0]\n    num_gpus: 2\n",
            "fastchat.yaml:2: models[0]: num_gpus is 2, but 'gpus' names only 1",
        ),
        (
            "models:\n  - model: a\n    load_8bit: true\n    load_4bit: true\n",
            "fastchat.yaml:2: models[0]: load_8bit and load_4bit are both true; choose one",
        ),
        (
            "models:\n  - model: a\n    device: abacus\n",
            "fastchat.yaml:3: models[0].device: 'abacus' was given; it should be 'cpu', 'cuda', 'mps', 'xpu' or 'npu'",
        ),
        (
            "models:\n  - model: a\n    default_sampling: {heat: 1}\n",
            "fastchat.yaml:3: models[0].default_sampling: its keys should be of: temperature, "
            "top_p, top_k, min_p, presence_penalty, frequency_penalty, repetition_penalty, seed, max_tokens",
        ),
        (
            "policy: random\n",
            "fastchat.yaml:1: policy: 'random' was given; it should be 'least_loaded', 'shortest_queue' or 'lottery'",
        ),
        ("api_keys:\n  - env:MISSING\n", "fastchat.yaml:2: api_keys[0]: the environment variable MISSING is not set"),
        ("api_keys:\n  - 1234567\n", "fastchat.yaml:2: api_keys[0]: it should be a valid string"),
        ("port: 1\nport: 2\n", "fastchat.yaml:2: port: this key stands here twice"),
        ("port: [1\nhost: x\n", "fastchat.yaml:2: this is not YAML: expected ',' or ']', but got ':'."),
        ("- model: a\n", "fastchat.yaml:1: [{'model': 'a'}] was given; it should be a mapping"),
    ],
)
def test_a_complaint_names_the_line_and_what_is_allowed(tmp_path: Path, text: str, expected: str) -> None:
    assert complaint(tmp_path, text) == expected


def test_all_complaints_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = complaint(tmp_path, "port: x\nmodels:\n  - model: a\n    slots: 0\nweb: perhaps\n").splitlines()

    assert [line.partition(": ")[0] for line in lines] == ["fastchat.yaml:1", "fastchat.yaml:4", "fastchat.yaml:5"]


def test_a_merged_mapping_may_be_overridden(tmp_path: Path) -> None:
    text = "models:\n  - &base {model: a, slots: 2}\n  - {<<: *base, slots: 3}\n"

    assert [model.slots for model in config_of(tmp_path, text).models] == [2, 3]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nothing\.yaml cannot be read"):
        load(tmp_path / "nothing.yaml")


def test_the_schema_describes_every_key() -> None:
    schema = Config.model_json_schema()

    sections = [schema, *schema["$defs"].values()]
    fields = [field for part in sections for field in part.get("properties", {}).items()]
    undescribed = [key for key, field in fields if "description" not in field]
    assert undescribed == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("membrs: []", "fastchat.yaml:3: arenas.legal.membrs: there is no such key; did you mean 'members'?"),
        (
            "integrity: {dwel_s: 1}",
            "fastchat.yaml:3: arenas.legal.integrity.dwel_s: there is no such key; did you mean",
        ),
        ("variants: {x: {modle: a}}", "arenas.legal.variants.x.modle: there is no such key; did you mean 'model'?"),
        ("questions: none.jsonl", "fastchat.yaml:3: arenas.legal.questions: 'none.jsonl' was given; there is no file "),
        ('integrity: {moderators: ["words:none.txt"]}', "was given; there is no file none.txt"),
    ],
)
def test_a_complaint_about_an_arena_names_its_own_keys_and_files(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in complaint(tmp_path, f"arenas:\n  legal:\n    {text}\n")


def test_word_lists_are_named_from_the_configuration_s_folder(tmp_path: Path) -> None:
    (tmp_path / "blocked.txt").write_text("bad\n")
    (tmp_path / "fastchat.yaml").write_text('arenas:\n  legal:\n    integrity: {moderators: ["words:blocked.txt"]}\n')

    moderators = load(tmp_path / "fastchat.yaml").config.arenas["legal"].integrity.moderators

    assert moderators == (f"words:{tmp_path / 'blocked.txt'}",)
