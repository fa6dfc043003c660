"""What the documents say is so."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from fastchat.__main__ import COMMANDS
from fastchat.client.fleet import Fleet
from fastchat.core import errors
from fastchat.engines.base import Feature
from fastchat.engines.launched.table import load_kinds
from fastchat.engines.registry import engine_names, supported_options
from fastchat.gateway.metrics import GatewayMetrics
from fastchat.prompts import catalog
from fastchat.worker.metrics import WorkerMetrics
from fastchat.worker.models import HostedModels
from tests.project.tables import feature_tables

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_command_reference_is_what_the_commands_say() -> None:
    assert (DOCS / "commands.md").read_text() == script("command_reference").render(), "run: make docs"


@pytest.mark.parametrize("old", sorted(file.stem for file in (ROOT / "fastchat" / "serve").glob("[a-z]*.py")))
def test_every_old_name_is_a_door_and_is_documented(old: str) -> None:
    source = (ROOT / "fastchat" / "serve" / f"{old}.py").read_text()
    target = re.search(r'run_command\("(\w+)"[,)]', source)
    assert target is not None
    assert importlib.util.find_spec(f"fastchat.commands.{target[1]}")
    assert old in (DOCS / "commands.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists(name: str) -> None:
    assert callable(importlib.import_module(f"fastchat.commands.{COMMANDS[name].module}").main)


def test_every_error_is_drawn_in_its_tree() -> None:
    classes = [name for name, item in vars(errors).items() if getattr(item, "__module__", None) == errors.__name__]
    assert errors.__doc__ is not None
    assert [name for name in classes if name not in errors.__doc__] == []


def test_every_error_code_is_documented() -> None:
    source = (ROOT / "fastchat" / "core" / "errors.py").read_text()
    codes = set(re.findall(r'code: ClassVar\[str \| None\] = "(\w+)"', source))
    page = (DOCS / "api.md").read_text()
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_every_metric_is_documented_and_no_other() -> None:
    registries = (GatewayMetrics(Fleet()).registry, WorkerMetrics(HostedModels({})).registry)
    ours = {metric.name for registry in registries for metric in registry.collect()}
    documented = set(re.findall(r"`(fastchat_\w+)", (DOCS / "operations.md").read_text()))
    assert {name.removesuffix("_total") for name in documented} == ours


@pytest.mark.parametrize("page", [*sorted(DOCS.glob("*.md")), ROOT / "README.md"], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_difference_of_a_prompt_format_is_documented() -> None:
    page = (DOCS / "prompts.md").read_text()
    rows = [
        f"| {', '.join('all' if name == '*' else f'`{name}`' for name in item.formats)} | {item.what} | {item.why} |"
        for item in catalog.differences()
    ]
    assert rows
    assert [row for row in rows if row not in page] == []


FLAGS = {
    "device": "--device",
    "num_gpus": "--num-gpus",
    "max_gpu_memory": "--max-gpu-memory",
    "dtype": "--dtype",
    "quantization": "--load-8bit",
    "cpu_offloading": "--cpu-offloading",
    "trust_remote_code": "--trust-remote-code",
    "draft_model": "--draft-model",
    "chat_template": "--conv-template",
    "adapters": "--adapters",
}


def test_the_table_of_features_names_every_feature() -> None:
    assert {row.strip("`") for row in feature_tables()[0]} == set(get_args(Feature))


@pytest.mark.parametrize("option", FLAGS)
def test_the_table_of_options_is_what_the_engines_take(option: str) -> None:
    [row] = [cells for name, cells in feature_tables()[1].items() if f"`{FLAGS[option]}`" in name]
    for engine, cell in row.items():
        supported = supported_options(engine) if engine in engine_names() else launched_options(engine)
        assert supported is not None
        assert (cell == "yes") == (option in supported), (engine, cell)


def launched_options(engine: str) -> set[str]:
    flags = set(load_kinds()[engine].flags)
    # Its `quantization` names a checkpoint's own format; nothing is rounded while loading.
    return (flags - {"quantization"}) | ({"chat_template"} if "conv_template" in flags else set())


@pytest.mark.parametrize("engine", ["vllm", "sglang", "mlx", "lightllm"])
def test_the_table_of_features_is_what_launched_servers_announce(engine: str) -> None:
    kind = load_kinds()[engine]
    cells = {name.strip("`"): row[engine] for name, row in feature_tables()[0].items()}
    assert {name for name, cell in cells.items() if cell == "yes"} == set(kind.features)
    with_flag = {name for name, cell in cells.items() if cell.startswith("with `--tool")}
    assert with_flag == set(kind.features_by_flag.values())
    assert (cells["adapters"] == "with `--adapters`") == ("adapters" in kind.flags)
