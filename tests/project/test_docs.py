"""What the documents say is so."""

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from fastchat.__main__ import COMMANDS
from fastchat.client.fleet import Fleet
from fastchat.core import errors
from fastchat.gateway.metrics import GatewayMetrics
from fastchat.prompts import catalog
from fastchat.worker.metrics import WorkerMetrics
from fastchat.worker.models import HostedModels

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
