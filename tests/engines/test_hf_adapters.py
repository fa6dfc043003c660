"""Several LoRA adapters on one base."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from fastchat.core.errors import SetupError
from fastchat.engines.hf.adapters import using_adapter
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.loading import load_model
from fastchat.engines.hf.settings import HfArgs
from fastchat.engines.registry import EngineOptions, Quantization
from tests.engines import tiny_models

# PEFT itself asks transformers for something by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

TOKENS = torch.arange(5, 45)[None]
NAMES = ("pirate", "poet.v1.5")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("adapters")
    base = tiny_models.llama(folder / "base")
    adapters = {
        name: str(tiny_models.lora(folder / str(seed), base, seed=seed, targets=targets))
        for seed, (name, targets) in enumerate(
            zip(NAMES, (("q_proj", "v_proj"), ("v_proj", "down_proj")), strict=True), start=1
        )
    }
    return {"base": str(base)} | adapters


def load(
    folders: dict[str, str], names: tuple[str, ...] = NAMES, quantization: Quantization | None = None
) -> LoadedModel:
    options = EngineOptions(
        folders["base"],
        device="cpu",
        dtype="float32",
        quantization=quantization,
        adapters={name: folders[name] for name in names},
    )
    return load_model(options, HfArgs(threads=1))


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found


def told(loaded: LoadedModel, adapter: str | None) -> torch.Tensor:
    with using_adapter(loaded, adapter):
        return logits(loaded.model)


def alone(folders: dict[str, str], name: str | None) -> torch.Tensor:
    base = AutoModelForCausalLM.from_pretrained(folders["base"], dtype=torch.float32)
    return logits(base if name is None else PeftModel.from_pretrained(base, folders[name]))


def test_all_adapters_and_the_base_in_one_process_are_what_each_is_alone(folders: dict[str, str]) -> None:
    loaded = load(folders)
    wanted = {name: alone(folders, name) for name in (None, *NAMES)}
    assert (wanted[None] - wanted["pirate"]).abs().max() > 0.1
    assert (wanted["pirate"] - wanted["poet.v1.5"]).abs().max() > 0.1
    for name in ("pirate", None, "poet.v1.5", "pirate", "pirate", None, None):
        assert torch.equal(told(loaded, name), wanted[name]), name


def test_the_base_answers_until_an_adapter_is_chosen(folders: dict[str, str]) -> None:
    assert torch.equal(logits(load(folders).model), alone(folders, None))


def test_adapters_work_on_a_base_of_8_bits(folders: dict[str, str]) -> None:
    loaded = load(folders, quantization="int8")
    for name in ("pirate", None):
        exact = alone(folders, name)
        assert (told(loaded, name) - exact).norm() / exact.norm() < 0.15


def test_a_folder_of_an_adapter_is_a_model_with_it_merged(folders: dict[str, str]) -> None:
    options = EngineOptions(folders["pirate"], device="cpu", dtype="float32")
    merged = load_model(options, HfArgs(threads=1)).model
    assert not any("lora" in name for name, _ in merged.named_modules())
    torch.testing.assert_close(logits(merged), alone(folders, "pirate"), atol=1e-4, rtol=1e-4)


def test_nothing_can_be_trained_by_accident(folders: dict[str, str]) -> None:
    assert not any(parameter.requires_grad for parameter in load(folders).model.parameters())


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"num_hidden_layers": 1}, r"'pirate'.* made for another model: .*layers\.1.* is not there"),
        ({"hidden_size": 96}, r"made for another model: .* has size 96 here and 64 there"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    tmp_path: Path, folders: dict[str, str], fields: dict[str, int], complaint: str
) -> None:
    other = tiny_models.llama(tmp_path / "other", **fields)
    with pytest.raises(SetupError, match=complaint):
        load(folders | {"base": str(other)}, ("pirate",))


def test_an_adapter_with_nothing_in_it_is_refused(tmp_path: Path, folders: dict[str, str]) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(SetupError, match=r"holds no adapter_model\.safetensors"):
        load(folders | {"pirate": str(tmp_path)}, ("pirate",))
