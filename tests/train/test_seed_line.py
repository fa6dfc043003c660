"""FastChat's commands train: what they print, what they leave behind, and what it says when it is served."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands import train_seed
from fastchat.core.errors import SetupError
from fastchat.engines.registry import EngineOptions, load_engine
from tests.engines import asking
from tests.train import learnable

ROOT = Path(__file__).parents[2]

# As in FastChat's README, but for paths, lengths and steps.
SEED = shlex.split("""
--bf16 True --num_train_epochs 3 --per_device_train_batch_size 2 --per_device_eval_batch_size 2
--gradient_accumulation_steps 2 --evaluation_strategy no --save_strategy steps --save_steps 4 --save_total_limit 10
--learning_rate 1e-2 --weight_decay 0. --warmup_ratio 0.03 --lr_scheduler_type cosine --logging_steps 1
--fsdp "full_shard auto_wrap" --fsdp_transformer_layer_cls_to_wrap 'LlamaDecoderLayer' --tf32 True
--model_max_length 256 --gradient_checkpointing True --lazy_preprocess True
""")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learnable.base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def line(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The words behind a script's name, with further flags."""
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    data = learnable.talks(tmp_path / "talks.json")

    def words(output: Path, *more: str) -> list[str]:
        paths = ["--model_name_or_path", str(base), "--data_path", str(data), "--output_dir", str(output)]
        return [*paths, *SEED, "--disable_tqdm", "True", *more]

    return words


def history(output: Path) -> list[dict[str, Any]]:
    """Losses and learning rates, step by step."""
    state = json.loads((output / "trainer_state.json").read_text())
    return [entry for entry in state["log_history"] if "loss" in entry]


def test_torchruns_line_trains_on_two_processes(line: Callable[..., list[str]], tmp_path: Path) -> None:
    output = tmp_path / "output"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--rdzv-backend=c10d"]
    done = subprocess.run(
        [*torchrun, "--rdzv-endpoint=localhost:0", "fastchat/train/train_mem.py", *line(output)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("--evaluation_strategy no → --eval_strategy no") == 1  # one process speaks
    losses = [entry["loss"] for entry in history(output)]
    assert losses[-1] < 0.8 * losses[0]


async def test_what_was_tuned_is_served_with_its_format_and_stops(
    line: Callable[..., list[str]], tmp_path: Path
) -> None:
    output = tmp_path / "tuned"
    longer = "--num_train_epochs 15 --save_steps 50 --model_max_length 512 --bf16 False --gradient_checkpointing False"
    train_seed.main(["train", *line(output, *longer.split())])
    lineage = json.loads((output / "lineage.json").read_text())
    assert (lineage["conversations"], lineage["prompt_format"]) == (24, "vicuna_v1.1")
    assert len(lineage["data"][0]["sha256"]) == 64
    assert lineage["steps"] == len(lineage["losses"])
    for place in (output, next(output.glob("checkpoint-*"))):
        there = {file.name for file in place.iterdir()}
        assert {"chat_template.jinja", "generation_config.json", "lineage.json"} <= there

    engine = await load_engine("hf", EngineOptions(str(output), slots=1, dtype="float32"))
    try:
        answer = await asking.ask(engine, asking.chat("What is Vicuna?", max_tokens=40))
    finally:
        await engine.close()
    assert re.fullmatch(r" ?It is (Paris|Vicuna|the user)\.", answer.text)
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("packing", ["True", "False"])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    packing: str, line: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastchat.train.trainer import Tuner

    more = ("--packing", packing, "--model_max_length", "512" if packing == "True" else "256")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train_seed.main(["train", *line(whole, *more)])

    step, steps = Tuner.training_step, iter(range(1000))

    def dying(self: Tuner, *args: Any, **kwargs: Any) -> Any:
        if next(steps) == 9:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Tuner, "training_step", dying)
    with pytest.raises(KeyboardInterrupt):
        train_seed.main(["train", *line(killed, *more)])
    monkeypatch.setattr(Tuner, "training_step", step)
    (killed / "checkpoint-99").mkdir()  # one that was begun and not finished
    train_seed.main(["train", *line(killed, *more)])
    assert history(killed) == history(whole)


def test_every_script_of_fastchats_is_there() -> None:
    from fastchat.train.seed_parsing import SCRIPTS

    for name in SCRIPTS:
        assert f'"train_seed", ["{name}", *sys.argv[1:]]' in (ROOT / f"fastchat/train/{name}.py").read_text()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--learning_rte", "1"), "no flag --learning_rte. Do you mean --learning_rate"),
        (("--data_path", "nowhere.json"), "no file nowhere.json"),
        (("--model_name_or_path", "/nowhere"), "no model at '/nowhere'"),
        (("--deepspeed", "zero3.json"), "deepspeed needs the package 'deepspeed'"),
        (("--use_liger_kernel", "True"), "use_liger_kernel needs the package"),
        (("--report_to", "mlflow"), "'mlflow' is not installed"),
        (("--evaluation_strategy", "epoch"), "no conversations are kept back"),
        (("--conv_template", "vicuna_v9"), "no prompt format and no file 'vicuna_v9'"),
    ],
)
def test_what_its_user_has_to_mend_is_said(
    more: tuple[str, ...], says: str, line: Callable[..., list[str]], tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=says):
        train_seed.main(["train_mem", *line(tmp_path / "output", *more)])
