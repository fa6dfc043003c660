"""What `--engine auto` takes, as a table over models, packages and hardware."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.engines.automatic import Surroundings, choose_engine

EVERYTHING = frozenset({"xllamacpp", "openvino_genai", "transformers", "vllm"})
X86 = Surroundings(EVERYTHING, is_x86=True)
ARM = Surroundings(EVERYTHING)
CUDA = Surroundings(EVERYTHING, is_x86=True, has_cuda=True)
BARE = Surroundings(is_x86=True)
ONLY_OPENVINO = Surroundings(frozenset({"openvino_genai"}), is_x86=True)
ONLY_OPENVINO_ARM = Surroundings(frozenset({"openvino_genai"}))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, files in {"hf": ["config.json"], "ir": ["config.json", "openvino_model.xml"], "empty": []}.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("model", "around", "engine", "reason"),
    [
        ("scripted", BARE, "scripted", "the path"),
        ("scripted:anything", X86, "scripted", "the path"),
        ("model.gguf", BARE, "llamacpp", "GGUF"),
        ("a/b/c.gguf", X86, "llamacpp", "--engine openvino is faster for many"),
        ("model.gguf", ONLY_OPENVINO, "openvino", "xllamacpp.* is not installed"),
        ("model.gguf", ONLY_OPENVINO_ARM, "llamacpp", "GGUF"),
        ("ir", X86, "openvino", "IR"),
        ("hf", X86, "hf", "transformers weights$"),
        ("hf", CUDA, "hf", "vLLM is installed.*vllm_worker"),
        ("hf", Surroundings(has_cuda=True), "hf", r"vLLM \(not installed\)"),
    ],
)
def test_the_choice_and_its_reason(models: Path, model: str, around: Surroundings, engine: str, reason: str) -> None:
    path = str(models / model) if (models / model).exists() else model
    choice = choose_engine(path, lambda: around)
    assert choice.engine == engine
    assert re.search(reason, choice.reason)


@pytest.mark.parametrize("around", [ARM, CUDA])
def test_openvino_is_only_mentioned_where_it_is_faster(around: Surroundings) -> None:
    assert "openvino" not in choose_engine("model.gguf", lambda: around).reason


@pytest.mark.parametrize("model", ["lmsys/vicuna-7b-v1.5", "empty"])
def test_what_no_engine_reads_is_refused_with_the_names(models: Path, model: str) -> None:
    path = str(models / model) if (models / model).exists() else model
    with pytest.raises(SetupError, match=r"No engine here reads .*llamacpp.*scripted"):
        choose_engine(path, lambda: X86)


def test_looking_around_finds_what_is_there() -> None:
    around = Surroundings.look()
    assert ("xllamacpp" in around.installed) == (find_spec("xllamacpp") is not None)
    assert "pytest" not in around.installed
