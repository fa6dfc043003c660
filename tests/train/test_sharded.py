"""FSDP2 by plain torch: two processes compute what one does, and one goes on where two stopped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastchat.commands import train
from fastchat.core.errors import SetupError
from tests.train import learnable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"""
model: {learnable.base(tmp_path / "base")}
data: {learnable.talks(tmp_path / "talks.json")}
conv_template: vicuna_v1.1
max_length: 256
epochs: 3
global_batch: 12
learning_rate: 1.0e-2
precision: fp32
loop: torch
save_every: 2
keep: 10
""")
    return ["sft", str(recipe)]


def losses(output: Path) -> list[float]:
    return [
        entry["loss"]
        for entry in json.loads((output / "trainer_state.json").read_text())["log_history"]
        if "loss" in entry
    ]


def test_it_learns_what_trainer_learns(line: list[str], tmp_path: Path) -> None:
    everything = ("global_batch=24", "per_device_batch=2", "epochs=3")  # so that it does not matter what comes when
    plain, trained = tmp_path / "plain", tmp_path / "trained"
    train.main([*line, f"output={plain}", *everything])
    train.main([*line, f"output={trained}", *everything, "loop=trainer"])
    assert len(losses(plain)) == 3
    assert losses(plain) == pytest.approx(losses(trained), abs=1e-4)


@pytest.mark.full
def test_two_processes_are_one_and_one_goes_on_where_they_stopped(line: list[str], tmp_path: Path) -> None:
    one, two, resumed = tmp_path / "one", tmp_path / "two", tmp_path / "resumed"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv-backend=c10d"]
    done = subprocess.run(
        [*torchrun, "--rdzv-endpoint=localhost:0", "-m", "fastchat", "train", *line, f"output={two}"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((two / "sharded-2").glob("*.distcp"))) == 2

    train.main([*line, f"output={one}"])
    assert losses(one) == pytest.approx(losses(two), abs=1e-4)
    assert losses(one)[-1] < losses(one)[0] - 0.5

    shutil.copytree(two / "sharded-4", resumed / "sharded-4")
    (resumed / "sharded-5").mkdir()  # one that was begun and not finished
    train.main([*line, f"output={resumed}"])
    assert losses(resumed) == pytest.approx(losses(two), abs=1e-4)
    assert (resumed / "model.safetensors").stat().st_size == (one / "model.safetensors").stat().st_size


def test_what_the_plain_loop_does_not_train_is_said(line: list[str], tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="loop: torch trains whole models"):
        train.main(["lora", *line[1:], f"output={tmp_path / 'output'}"])
