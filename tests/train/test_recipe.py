"""Recipes: what they may say, and how what they may not is told."""

from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.train.machine import Machine
from fastchat.train.plan import AdapterChoice
from fastchat.train.recipe import LoraRecipe, SftRecipe, read_recipe, shipped
from fastchat.train.recipe_plan import plan_of

CPU = Machine(has_accelerator=False, has_tf32=False, processes=4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text("# ours\nmodel: base\ndata: talks.json\nlora:\n  rank: 4\n  dora: true\n")
    return file


@pytest.mark.parametrize("name", shipped())
def test_what_is_shipped_is_valid(name: str) -> None:
    assert read_recipe(SftRecipe, name).data == (Path("playground/data/dummy.json"),)


def test_vicunas_recipe_is_its_authors() -> None:
    recipe = read_recipe(SftRecipe, "vicuna_7b")
    numbers = (recipe.global_batch, recipe.learning_rate, recipe.epochs, recipe.max_length, recipe.warmup)
    assert numbers == (128, 2e-5, 3, 2048, 0.03)


def test_values_behind_a_recipe_count_more_than_its_own(file: Path) -> None:
    recipe = read_recipe(LoraRecipe, str(file), ["learning_rate=1e-3", "lora.rank=2", "data=[a.json, b.json]"])
    assert (recipe.learning_rate, recipe.lora.rank, recipe.lora.dora) == (1e-3, 2, True)
    assert recipe.data == (Path("a.json"), Path("b.json"))


def test_an_adapter_needs_no_section(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("model: base\ndata: talks.json\nlora:\n")
    assert read_recipe(LoraRecipe, str(file)).lora.targets == "all-linear"
    assert read_recipe(SftRecipe, str(file)).lora is None


@pytest.mark.parametrize(
    ("text", "values", "says"),
    [
        ("model: a\ndata: b\nlerning_rate: 1\n", (), r"recipe\.yaml:3: lerning_rate: there is no such key; do you"),
        (
            "model: a\ndata: b\nlora:\n  rnk: 1\n",
            (),
            r"recipe\.yaml:4: lora\.rnk: there is no such key; do you mean rank",
        ),
        ("model: a\ndata: b\nepochs: -1\n", (), r"recipe\.yaml:3: epochs: -1 was given; it should be greater than 0"),
        ("model: a\ndata: b\n", ("epochs=many",), r"epochs=…: 'many' was given; it should be a valid number"),
        ("model: a\n", (), r"data is missing; write it into the file, or data=… behind it"),
        ("model: a\ndata: b\n", ("fast",), "'fast' is no key=value"),
        ("- model\n", (), r"recipe\.yaml:1: a recipe begins with a key"),
        ("model: [\n", (), r"recipe\.yaml is not YAML"),
        ("model: a\ndata: b\nprecision: int8\n", (), r"recipe\.yaml:3: precision: 'int8' was given; it should be"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, values: tuple[str, ...], says: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(SetupError, match=says):
        read_recipe(SftRecipe, str(file), values)


def test_an_unknown_recipe_is_told_with_those_there_are() -> None:
    with pytest.raises(SetupError, match=r"no recipe 'vicuna_7', nor a file\. Do you mean vicuna_7b\?"):
        read_recipe(SftRecipe, "vicuna_7")


def test_a_recipe_becomes_a_plan(file: Path, tmp_path: Path) -> None:
    values = [f"output={tmp_path}", "global_batch=128", "per_device_batch=2", "arguments.max_grad_norm=0.5"]
    plan = plan_of(read_recipe(SftRecipe, str(file), values), CPU, {"WANDB_MODE": "disabled"})
    arguments = plan.arguments
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == (2, 16)
    assert (arguments.max_grad_norm, arguments.use_cpu, arguments.report_to) == (0.5, True, [])
    assert plan.adapter == AdapterChoice(rank=4, dora=True, targets="all-linear")
    assert plan.told["lora"] == {"rank": 4, "dora": True}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("arguments.max_grd_norm=1", "arguments.max_grd_norm: .*Do you mean max_grad_norm"),
        ("liger=true", "use_liger_kernel needs the package"),
        ("arguments.deepspeed=zero2.json", "deepspeed needs the package"),
        ("report_to=mlflow", "'mlflow' is not installed"),
        ("schedule=cosinus", "transformers refuses this recipe: cosinus is not"),
        ("precision=fp16", "fp16"),
    ],
)
def test_what_this_machine_cannot_do_is_said_before_anything_is_loaded(value: str, says: str, file: Path) -> None:
    with pytest.raises(SetupError, match=says):
        plan_of(read_recipe(SftRecipe, str(file), [value]), CPU, {})
