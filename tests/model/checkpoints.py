"""Small checkpoints with real layouts, made at random."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

VOCABULARY, WIDTH = 32, 16


def tensors(
    seed: int, *, dtype: torch.dtype = torch.bfloat16, vocabulary: int = VOCABULARY, scale: float = 0.02
) -> dict[str, torch.Tensor]:
    """LLaMA's names with two layers."""
    generator = torch.Generator().manual_seed(seed)

    def weight(*shape: int) -> torch.Tensor:
        return (torch.randn(*shape, generator=generator) * scale).to(dtype)

    made = {"model.embed_tokens.weight": weight(vocabulary, WIDTH)}
    for layer in range(2):
        head = f"model.layers.{layer}"
        made |= {f"{head}.self_attn.{name}_proj.weight": weight(WIDTH, WIDTH) for name in "qkvo"}
        made |= {
            f"{head}.mlp.up_proj.weight": weight(2 * WIDTH, WIDTH),
            f"{head}.input_layernorm.weight": weight(WIDTH),
        }
    return made | {"model.norm.weight": weight(WIDTH), "lm_head.weight": weight(vocabulary, WIDTH)}


def tuned(base: Mapping[str, torch.Tensor], seed: int, *, scale: float = 0.004) -> dict[str, torch.Tensor]:
    """The same model after some training: every element has moved a little."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (value.float() + torch.randn(value.shape, generator=generator) * scale).to(value.dtype)
        for name, value in base.items()
    }


def save(
    folder: Path,
    weights: Mapping[str, torch.Tensor],
    *,
    kind: str = "safetensors",
    shards: int = 1,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """A folder as the hub has them, with what stands beside the weights."""
    folder.mkdir(parents=True)
    names = list(weights)
    groups = [names[number::shards] for number in range(shards)]
    stem, suffix = ("model", "safetensors") if kind == "safetensors" else ("pytorch_model", "bin")
    places = {}
    for number, group in enumerate(groups, start=1):
        name = f"{stem}.{suffix}" if shards == 1 else f"{stem}-{number:05}-of-{shards:05}.{suffix}"
        part = {key: weights[key].clone() for key in group}
        if kind == "safetensors":
            save_file(part, folder / name, metadata={"format": "pt"})
        else:
            torch.save(part, folder / name)
        places |= dict.fromkeys(group, name)
    if shards > 1:
        index = {"metadata": {"total_size": 0}, "weight_map": places}
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    settings = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": VOCABULARY,
        **(config or {}),
    }
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 2}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"from": folder.name}))
    (folder / "chat_template.jinja").write_text(f"{{# {folder.name} #}}")
    return folder


def load(folder: Path) -> dict[str, torch.Tensor]:
    """As safetensors' own library reads it."""
    from safetensors.torch import load_file

    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return load_file(folder / "model.safetensors")
    files = set(json.loads(index.read_text())["weight_map"].values())
    return {name: value for file in files for name, value in load_file(folder / file).items()}


def same_bits(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and torch.equal(one[name].view(torch.uint8), other[name].view(torch.uint8))
        for name in one
    )
