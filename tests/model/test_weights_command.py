"""The commands as users write them, old names and abbreviations included."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fastchat.__main__ import run_command
from fastchat.model import manifest
from fastchat.model.pull import Hub
from tests.model.checkpoints import load, same_bits, save, tensors, tuned
from tests.model.hub import FakeHub


@pytest.fixture
def models(tmp_path: Path) -> Path:
    base = tensors(1)
    save(tmp_path / "base", base)
    save(tmp_path / "target", tuned(base, 2), shards=2)
    return tmp_path


def weights(*arguments: object) -> None:
    run_command("weights", list(map(str, arguments)))


def test_deltas_by_their_old_names(models: Path) -> None:
    for module, arguments in (
        ("make_delta", ("--base", "base", "--target", "target", "--delta", "delta")),
        ("apply_delta", ("--base", "base", "--target", "out", "--delta", "delta", "--low-cpu-mem")),
        ("convert_fp16", ("--in", "out", "--out", "half")),
    ):
        command = [sys.executable, "-m", f"fastchat.model.{module}", *arguments]
        done = subprocess.run(command, cwd=models, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert "digest" in done.stdout
    target = load(models / "target")
    assert same_bits(load(models / "out"), target)
    assert same_bits(load(models / "half"), {name: value.half() for name, value in target.items()})


def test_base_and_delta_may_be_names_on_the_hub(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights("make-delta", "--base", models / "base", "--target", models / "target", "--delta", models / "delta")
    files = {
        f"org/{name}": {file.name: file.read_bytes() for file in (models / name).iterdir()}
        for name in ("base", "delta")
    }
    with FakeHub(files=files).running() as fake:
        monkeypatch.setattr("fastchat.model.sources.Hub", lambda: Hub(fake.url, models / "cache"))
        weights("apply-delta", "--base", "org/base", "--target", models / "out", "--delta", "org/delta@main")
    assert same_bits(load(models / "out"), load(models / "target"))
    assert manifest.verify(models / "out", lambda _: None)


def test_verify(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        weights("verify", models / "base")
    assert "--write" in capsys.readouterr().err
    weights("verify", models / "base", "--write")
    weights("verify", models / "base")
    assert "OK, 15 tensors" in capsys.readouterr().out
    weights("make-delta", "--base", models / "base", "--target", models / "target", "--delta", models / "delta")
    weights("verify", models / "delta")


def test_info(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights("make-delta", "--base", models / "base", "--target", models / "target", "--delta", models / "delta")
    capsys.readouterr()
    weights("info", models / "target")
    shown = capsys.readouterr().out
    for words in ("LlamaForCausalLM", "BF16", "in 2 files", "32 tokens", "chat template  yes", "digest         none"):
        assert words in shown
    weights("info", "--json", models / "delta")
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "delta"
    assert found["parameters"] == sum(value.numel() for value in tensors(1).values())


def test_info_needs_no_torch(models: Path) -> None:
    code = (
        "import sys; from fastchat.__main__ import run_command;"
        f"run_command('weights', ['info', {str(models / 'base')!r}]);"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_to_gguf_runs_llama_cpps_converter(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("FASTCHAT_LLAMA_CPP", raising=False)
    with pytest.raises(SystemExit):
        weights("convert", models / "base", models / "out.gguf")
    assert "ggml-org/llama.cpp" in capsys.readouterr().err
    sources = models / "llama.cpp"
    sources.mkdir()
    script = sources / "convert_hf_to_gguf.py"
    script.write_text("import sys; open(sys.argv[3], 'w').write(' '.join(sys.argv[1:]))")
    monkeypatch.setenv("FASTCHAT_LLAMA_CPP", str(sources))
    weights("convert", models / "base", models / "out.gguf", "--outtype", "q8_0")
    called = (models / "out.gguf").read_text()
    assert called.startswith(str(models / "base"))
    assert called.endswith("--outtype q8_0")
    script.write_text("import sys; sys.exit('Model LlamaForCausalLM is not supported')")
    with pytest.raises(SystemExit):
        weights("convert", models / "base", models / "other.gguf", "--converter", script)
    assert "is not supported" in capsys.readouterr().err
    assert sorted(path.name for path in models.glob("*.gguf")) == ["out.gguf"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("info", "missing"), "There is no model at"),
        (("info", "org/model"), "fastchat pull org/model"),
        (("make-delta", "--base", "a", "--target", "b", "--delta", "c", "--hub-repo-id", "me/d"), "hf upload me/d"),
        (("condense-rope", "base"), "--factor"),
        (("convert", "base", "target"), "--overwrite"),
        (("convert", "base", "x", "--max-shard-size", "big"), "5GB"),
        (("apply-delta", "--base", "base", "--target", "x", "--delta", "empty"), "no weights"),
    ],
)
def test_mistakes(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(models)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(models / "cache"))
    (models / "empty").mkdir()
    with pytest.raises(SystemExit) as caught:
        weights(*arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_sizes_of_shards(models: Path) -> None:
    weights("convert", models / "base", models / "small", "--max-shard-size", "2KiB", "--dtype", "float32")
    parts = list((models / "small").glob("model-*.safetensors"))
    assert len(parts) > 3
    assert load(models / "small")["model.norm.weight"].dtype == torch.float32
