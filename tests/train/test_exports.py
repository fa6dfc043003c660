"""What becomes of a tuned model: merged, as a delta, served."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fastchat.commands import train, weights
from fastchat.core.errors import SetupError
from fastchat.engines.base import ChatPrompt, GenerationRequest, Sampling
from fastchat.engines.hf import load
from fastchat.engines.registry import EngineOptions
from fastchat.model.carried import edit_json
from fastchat.model.templates import own_template
from tests.train import learnable

ASKED = [{"role": "user", "content": "What is Vicuna?"}]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base/, full/ and lora/: the tuned model, and an adapter."""
    folder = tmp_path_factory.mktemp("made")
    recipe = folder / "recipe.yaml"
    recipe.write_text(f"""
model: {learnable.base(folder / "base")}
data: {learnable.talks(folder / "talks.json")}
conv_template: vicuna_v1.1
max_length: 512
global_batch: 4
learning_rate: 1.0e-2
precision: fp32
max_steps: 3
""")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTCHAT_CACHE_DIR", str(folder / "cache"))
        train.main(["sft", str(recipe), f"output={folder / 'full'}"])
        train.main(["lora", str(recipe), f"output={folder / 'lora'}"])
    return folder


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model.eval()(torch.arange(3, 40)[None], use_cache=False).logits


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # which PEFT asks for
def test_a_merged_adapter_says_what_the_adapter_says(made: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base, merged = made / "base", tmp_path / "merged"
    given = ["--base-model-path", str(base), "--lora-path", str(made / "lora")]
    weights.main(["apply-lora", *given, "--target-model-path", str(merged)])
    beside = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), made / "lora")
    alone = AutoModelForCausalLM.from_pretrained(merged)
    torch.testing.assert_close(logits(alone), logits(beside), atol=1e-5, rtol=1e-5)
    assert own_template(str(merged)) == own_template(str(made / "lora")) is not None
    for name in ("generation_config.json", "lineage.json"):
        assert json.loads((merged / name).read_text()) == json.loads((made / "lora" / name).read_text())
    assert answer(merged) == answer(made / "lora")


def test_a_delta_brings_the_tuned_model_back_to_the_bit(made: Path, tmp_path: Path) -> None:
    base, delta, again = made / "base", tmp_path / "delta", tmp_path / "again"
    common = ["--base-model-path", str(base), "--delta-path", str(delta), "--target-model-path"]
    weights.main(["make-delta", *common, str(made / "full")])
    weights.main(["apply-delta", *common, str(again)])
    assert tensors(again) == tensors(made / "full")
    assert own_template(str(again)) == own_template(str(made / "full")) is not None
    assert answer(again) == answer(made / "full")


@pytest.mark.parametrize("checkpoint", ["full/checkpoint-3", "lora/checkpoint-3"])
def test_a_checkpoint_is_served_as_the_finished_model_is(made: Path, checkpoint: str) -> None:
    assert answer(made / checkpoint) == answer((made / checkpoint).parent)


def test_an_adapter_says_what_ends_its_answers(made: Path, tmp_path: Path) -> None:
    from fastchat.engines.hf.loading import load_model
    from fastchat.engines.hf.settings import HfArgs

    other = shutil.copytree(made / "lora", tmp_path / "other")
    edit_json(other / "generation_config.json", lambda values: values.update(eos_token_id=[2, 77]))
    assert 77 in load_model(EngineOptions(str(other)), HfArgs()).eos_token_ids


def test_an_adapter_is_merged_before_it_becomes_gguf(made: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="apply-lora --base-model-path BASE"):
        weights.main(["convert", str(made / "lora"), str(tmp_path / "tuned.gguf")])


def tensors(folder: Path) -> dict[str, bytes]:
    from safetensors.torch import load_file

    return {
        name: tensor.numpy().tobytes()
        for file in folder.glob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


def answer(folder: Path) -> str:
    """Of the engine hf, in the format that the folder names."""

    async def asked() -> str:
        engine = await load(EngineOptions(str(folder)))
        try:
            request = GenerationRequest(ChatPrompt(ASKED), Sampling(max_tokens=8, temperature=0.0))
            return "".join([delta.text async for delta in engine.generate(request)])
        finally:
            await engine.close()

    return asyncio.run(asked())
