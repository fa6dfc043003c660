"""`fastchat train`: recipes on the command line, and the loss on what was kept back."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fastchat.commands import train
from fastchat.core.errors import SetupError
from fastchat.model.deltas import apply_delta, make_delta
from fastchat.model.writing import WriteOptions
from fastchat.train.examples import is_held_out
from fastchat.train.recipe import LoraSection, SftRecipe, shipped
from tests.train import learnable

DOCS = (Path(__file__).parents[2] / "docs" / "training.md").read_text()


@pytest.fixture
def sft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"""
model: {learnable.base(tmp_path / "base")}
data: {learnable.talks(tmp_path / "talks.json")}
conv_template: vicuna_v1.1
max_length: 512
global_batch: 4
learning_rate: 1.0e-2
precision: fp32
""")

    def tune(*values: str) -> Path:
        output = tmp_path / f"output-{'-'.join(values)}"
        train.main(["sft", str(recipe), f"output={output}", *values])
        return output

    return tune


def evaluations(output: Path) -> list[float]:
    state: dict[str, Any] = json.loads((output / "trainer_state.json").read_text())
    return [entry["eval_loss"] for entry in state["log_history"] if "eval_loss" in entry]


def test_the_loss_on_what_was_kept_back_falls_and_does_not_depend_on_batches(sft: Callable[..., Path]) -> None:
    packed = evaluations(sft("epochs=2", "held_out=0.3"))
    padded = evaluations(sft("max_steps=1", "held_out=0.3", "packing=false", "per_device_batch=3"))
    assert packed[0] == pytest.approx(padded[0], abs=1e-4)  # of the base, before anything is trained
    assert len(packed) == 3
    assert packed[-1] < packed[0] - 0.3


def test_a_delta_of_what_was_tuned_makes_it_again_to_the_bit(sft: Callable[..., Path], tmp_path: Path) -> None:
    base, tuned, again = tmp_path / "base", sft("max_steps=2"), tmp_path / "again"
    make_delta(base, tuned, tmp_path / "delta", WriteOptions())
    apply_delta(base, tmp_path / "delta", again, WriteOptions())
    made, wanted = load_file(again / "model.safetensors"), load_file(tuned / "model.safetensors")
    assert made.keys() == wanted.keys()
    assert all(made[name].view(torch.uint8).equal(wanted[name].view(torch.uint8)) for name in wanted)
    assert any(not wanted[name].equal(tensor) for name, tensor in load_file(base / "model.safetensors").items())
    for name in ("lineage.json", "chat_template.jinja", "generation_config.json"):
        assert (again / name).read_bytes() == (tuned / name).read_bytes()


def test_batches_of_like_lengths_without_packing(sft: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    grouped = "arguments.train_sampling_strategy=group_by_length"
    sft("max_steps=1", "packing=false", grouped)
    assert "not grouped" not in capsys.readouterr().out
    sft("max_steps=1", grouped)
    assert "rows are of one length already" in capsys.readouterr().out


def test_longer_rows_are_told_and_kept_in_the_configuration(sft: Callable[..., Path]) -> None:
    output = sft("max_steps=1", "max_length=1024")
    config = json.loads((output / "config.json").read_text())
    assert config["rope_parameters"]["factor"] == 2.0
    assert json.loads((output / "tokenizer_config.json").read_text())["model_max_length"] == 1024


def test_what_is_kept_back_follows_from_the_id() -> None:
    kept = {name for name in map(str, range(1000)) if is_held_out(name, 0.1)}
    assert 60 < len(kept) < 140
    assert kept < {name for name in map(str, range(1000)) if is_held_out(name, 0.2)}
    assert not any(is_held_out(name, 0.0) for name in map(str, range(1000)))


def test_an_unknown_action_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["tune"])
    assert re.search(r"choose from .*sft.*lora.*preview", capsys.readouterr().err)


def test_a_missing_file_is_said() -> None:
    with pytest.raises(SetupError, match=r"no file nowhere\.json"):
        train.main(["sft", "smollm2_cpu", "model=builtin", "data=nowhere.json"])


def test_every_key_and_recipe_is_described() -> None:
    missing = [name for name in (*SftRecipe.model_fields, *shipped()) if f"`{name}`" not in DOCS]
    missing += [name for name in LoraSection.model_fields if f"`{name}" not in DOCS]
    assert missing == []
