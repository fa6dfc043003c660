"""`scripts/train-vicuna.yaml`: what SkyPilot is told, and what its nodes then run."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastchat.train.recipe import SftRecipe, read_recipe

ROOT = Path(__file__).parents[2]
FILE = ROOT / "scripts" / "train-vicuna.yaml"
NODE = {  # what SkyPilot tells the second of two
    "SKYPILOT_NUM_NODES": "2",
    "SKYPILOT_NODE_RANK": "1",
    "SKYPILOT_NUM_GPUS_PER_NODE": "8",
    "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2",
    "SKYPILOT_TASK_ID": "sky-1",
}
STUBS = """
conda() { :; }
torchrun() { python3 -c 'import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))' "$@"; }
"""


@pytest.fixture
def task() -> dict[str, Any]:
    content = yaml.safe_load(FILE.read_text("utf-8"))
    assert isinstance(content, dict)
    return content


def node_runs(task: dict[str, Any], **given: str) -> tuple[list[str], dict[str, str]]:
    """The arguments and the environment of torchrun."""
    environ = {name: str(value) for name, value in task["envs"].items()} | NODE | given | {"PATH": "/usr/bin:/bin"}
    ran = subprocess.run(["bash", "-ec", STUBS + task["run"]], env=environ, capture_output=True, text=True, check=True)
    arguments, seen = json.loads(ran.stdout)
    return arguments, seen


def test_what_the_old_commands_give_is_known(task: dict[str, Any]) -> None:
    assert {"WANDB_API_KEY", "WANDB_MODE", "MODEL_SIZE"} <= set(task["envs"])
    assert all(isinstance(value, str) for value in task["envs"].values())


def test_checkpoints_go_to_a_bucket_in_the_order_of_writing(task: dict[str, Any]) -> None:
    bucket = task["file_mounts"]["/artifacts"]
    assert bucket["mode"] == "MOUNT_CACHED"
    assert bucket["config"]["mount_cached"]["transfers"] == 1
    assert any(argument.startswith("output=/artifacts/") for argument in node_runs(task)[0])


def test_a_node_knows_its_place_and_where_the_first_is(task: dict[str, Any]) -> None:
    arguments, environ = node_runs(task)
    assert arguments[:4] == ["--nnodes=2", "--node_rank=1", "--nproc_per_node=8", "--master_addr=10.0.0.1"]
    assert environ["WANDB_RUN_ID"] == "sky-1"


@pytest.mark.parametrize("size", ["7", "13"])
def test_what_a_node_runs_is_a_recipe(task: dict[str, Any], size: str) -> None:
    arguments, _ = node_runs(task, MODEL_SIZE=size)
    module, command, action, name, *values = arguments[arguments.index("-m") + 1 :]
    assert (module, command, action) == ("fastchat", "train", "sft")
    recipe = read_recipe(SftRecipe, name, values)
    assert recipe.model == f"meta-llama/Llama-2-{size}b-hf"
    assert (recipe.global_batch, recipe.keep, recipe.arguments) == (128, 2, {"enable_jit_checkpoint": True})
    assert (ROOT / recipe.data[0]).is_file()


def test_what_was_not_given_is_not_set(task: dict[str, Any]) -> None:
    """wandb takes an empty mode for a wrong one."""
    assert "WANDB_MODE" not in node_runs(task)[1]
    assert node_runs(task, WANDB_MODE="offline")[1]["WANDB_MODE"] == "offline"
    assert {"output=/artifacts/mine", "model=my/base"} <= set(node_runs(task, MODEL="my/base", RUN="mine")[0])


def test_skypilot_reads_it() -> None:
    sky = pytest.importorskip("sky")
    content = yaml.safe_load(FILE.read_text("utf-8"))
    task = sky.Task.from_yaml_config(content, env_overrides=[("MODEL_SIZE", "7"), ("BUCKET", "mine")])
    assert task.envs["MODEL_SIZE"] == "7"
    [bucket] = task.storage_mounts.values()
    assert bucket.name == "mine"
