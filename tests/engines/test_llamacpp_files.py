"""Files and settings that cannot work are refused before llama.cpp sees them, or without taking us along."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.engines.llamacpp import load, settings
from fastchat.engines.llamacpp.gguf import inspect
from fastchat.engines.registry import EngineOptions
from fastchat.model import builtin
from tests.engines.gguf_files import Value, header

LOADS = """
import asyncio, sys
from fastchat.core.errors import SetupError
from fastchat.engines.registry import EngineOptions, load_engine

try:
    options = EngineOptions(sys.argv[1], context_length=256, chat_template=sys.argv[2] or None)
    asyncio.run(load_engine("llamacpp", options))
except SetupError as error:
    print(error.message)
"""
LLAMA: dict[str, Value] = {"general.architecture": "llama", "llama.context_length": 8192}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "There is no file"),
        (b"", "not a GGUF model"),
        (b"hello", "not a GGUF model"),
        (b"GGUF", "damaged"),
        (b"GGUF\x09\0\0\0" + bytes(16), "version 9"),
        (header(LLAMA)[:60], "damaged"),
        (b"GGUF\x03\0\0\0" + bytes(8) + b"\xff" * 8 + b"\xff" * 8, "damaged"),
        (header({"general.architecture": "clip"}), "not of a language model"),
    ],
    ids=["missing", "empty", "text", "too short", "too new", "cut", "senseless", "no language model"],
)
def test_a_file_that_is_no_model_is_refused_with_its_name(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "model.gguf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SetupError, match=complaint) as caught:
        inspect(str(file))
    assert str(file) in caught.value.message


def test_the_header_tells_the_context_and_whether_there_is_a_template(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(header(LLAMA))
    assert inspect(str(file)).trained_context == 8192
    assert not inspect(str(file)).has_chat_template
    file.write_bytes(header(LLAMA | {"tokenizer.chat_template": "{{ messages }}"}))
    assert inspect(str(file)).has_chat_template


@pytest.mark.model
@pytest.mark.parametrize("template", ["", "{% if %}"])
def test_what_llamacpp_cannot_load_is_told_and_does_not_crash(tmp_path: Path, template: str) -> None:
    """A file that ends too early, and a template that is none."""
    file = builtin.ensure()
    if not template:
        with file.open("rb") as whole:
            file = tmp_path / "model.gguf"
            file.write_bytes(whole.read(10 * 2**20))
    # In a process of its own: should native code fail it takes down no more than that.
    command = [sys.executable, "-c", LOADS, str(file), template]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"could not load '{file}'" in done.stdout


@pytest.mark.model
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"context_length": 10_000}, "trained for 8192 tokens"),
        ({"device": "cuda"}, "--device cuda: .* no GPU"),
        ({"adapters": {"mine": "/nowhere/adapter.gguf"}}, "/nowhere/adapter.gguf"),
        ({"engine_args": {"mmproj": "/nowhere/projector.gguf"}}, "/nowhere/projector.gguf"),
        ({"engine_args": {"thread": 2}}, "thread: .*Allowed: threads, "),
        ({"engine_args": {"threads": 0}}, "threads: .*greater than"),
        ({"engine_args": {"cache_type": "q1"}}, "cache_type: .*'f16' or 'q8_0'"),
    ],
)
async def test_options_that_do_not_fit_the_model_are_refused(options: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(SetupError, match=complaint):
        await load(EngineOptions(str(builtin.ensure()), **options))


def test_a_missing_library_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingPackage, match=r'pip install "fschat\[model_worker\]"'):
        settings.import_library()
