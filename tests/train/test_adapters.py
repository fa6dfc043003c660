"""Adapters: what is trained beside a base is what is served, merged or not."""

import json
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands import train, train_seed
from fastchat.core.errors import SetupError
from fastchat.engines.registry import EngineOptions, load_engine
from fastchat.model.lora import apply_lora
from fastchat.model.writing import WriteOptions
from tests.engines import asking, tiny_models
from tests.train import learnable

SHORT = (
    "conv_template=vicuna_v1.1",
    "max_length=512",
    "epochs=1",
    "global_batch=4",
    "learning_rate=1e-2",
    "precision=fp32",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learnable.base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def tuned(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model: {base}\ndata: {learnable.talks(tmp_path / 'talks.json')}\n")

    def tune(*values: str) -> Path:
        output = tmp_path / "output"
        train.main(["lora", str(recipe), f"output={output}", *SHORT, *values])
        return output

    return tune


def logits(folder: Path, adapter: Path | None = None) -> Any:
    import peft
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return model(torch.arange(3, 40)[None]).logits


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's, of transformers
@pytest.mark.parametrize("dora", ["false", "true"])
def test_merged_weights_say_what_base_and_adapter_say(dora: str, base: Path, tuned: Any, tmp_path: Path) -> None:
    import torch

    adapter = tuned(f"lora.dora={dora}")
    apply_lora(base, adapter, tmp_path / "merged", WriteOptions())
    beside, merged = logits(base, adapter), logits(tmp_path / "merged")
    torch.testing.assert_close(merged, beside, atol=1e-4, rtol=1e-4)
    assert (beside - logits(base)).abs().max() > 0.1  # it has learned something


async def test_an_adapters_folder_is_served(base: Path, tuned: Any) -> None:
    adapter = tuned()
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    assert {"lineage.json", "chat_template.jinja", "adapter_config.json"} <= {file.name for file in adapter.iterdir()}
    assert json.loads((adapter / "lineage.json").read_text())["method"] == "lora"
    assert not (adapter / "model.safetensors").exists()
    engine = await load_engine("hf", EngineOptions(str(adapter), slots=1, dtype="float32"))
    try:
        answer = await asking.ask(engine, asking.chat("What is Paris?"))
    finally:
        await engine.close()
    assert answer.finish_reason is not None


def test_an_adapter_learns_beside_a_base_in_four_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTCHAT_CACHE_DIR", str(tmp_path / "cache"))
    base = tiny_models.llama(tmp_path / "base")
    data, output = learnable.talks(tmp_path / "talks.json"), tmp_path / "output"
    line = f"--model_name_or_path {base} --data_path {data} --output_dir {output} --q_lora True --max_steps 3"
    more = "--model_max_length 512 --logging_steps 1 --save_strategy no --lora_target_modules q_proj k_proj --lora_r 4"
    train_seed.main(["train_lora", *line.split(), *more.split()])
    config = json.loads((output / "adapter_config.json").read_text())
    assert (config["r"], sorted(config["target_modules"])) == (4, ["k_proj", "q_proj"])
    state = json.loads((output / "trainer_state.json").read_text())
    assert len([entry for entry in state["log_history"] if "loss" in entry]) == 3


def test_layers_that_are_not_there_are_named_with_those_that_are(tuned: Any) -> None:
    with pytest.raises(SetupError, match=r"no layers qq_proj\. It has down_proj, gate_proj, k_proj"):
        tuned("lora.targets=[qq_proj]")


def test_an_adapter_to_begin_with_has_to_be_one(tuned: Any, base: Path) -> None:
    with pytest.raises(SetupError, match="adapter"):
        tuned(f"lora.begin_with={base}")
