"""The flags that FastChat's training scripts had beside transformers' TrainingArguments, by their old names."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal


def _flag(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass
class ModelArguments:
    model_name_or_path: str = _flag("facebook/opt-125m", "folder of the model to tune, or its name on the hub")
    trust_remote_code: bool = _flag(False, "run code that comes with the model")
    padding_side: str = _flag("right", "accepted; rows are packed, and what is padded is padded on the right")
    flash_attn: bool = _flag(False, "compute attention with the package flash-attn")
    cache_dir: str | None = _flag(None, "where models from the hub are kept")


@dataclass
class DataArguments:
    data_path: str | None = _flag(None, "conversations to train on: ShareGPT, Alpaca, OpenAI messages, …")
    eval_data_path: str | None = _flag(None, "conversations on which the loss is measured")
    lazy_preprocess: bool = _flag(False, "accepted; the tokens are in a file that all processes share")
    model_max_length: int = _flag(512, "tokens of a row")
    packing: bool = _flag(True, "several conversations in a row, none of which sees another")
    conv_template: str | None = _flag(None, "prompt format: a name of `fastchat prompts list`, or a Jinja file")
    held_out: float = _flag(0.0, "share of the conversations kept back to measure the loss on")


@dataclass
class T5DataArguments(DataArguments):
    model_max_length: int = _flag(2048, "tokens of a question, and of an answer")
    num_data: int = _flag(-1, "train on so many conversations only; -1 for all")
    preprocessed_path: str | None = _flag(None, "accepted; tokens are kept beside the output, by what they are made of")


@dataclass
class LoraArguments:
    lora_r: int = _flag(8, "rank of the adapter")
    lora_alpha: int = _flag(16, "the adapter counts alpha / r")
    lora_dropout: float = _flag(0.05, "share of the adapter's inputs left out while training")
    lora_target_modules: list[str] = field(
        default_factory=lambda: ["q_proj", "v_proj"], metadata={"help": "names of the layers that get an adapter"}
    )
    lora_weight_path: str = _flag("", "an adapter to begin with")
    lora_bias: Literal["none", "all", "lora_only"] = _flag("none", "biases that are trained too")
    q_lora: bool = _flag(False, "the base in 4 bits (NF4), as QLoRA")


@dataclass
class T5LoraArguments(LoraArguments):
    lora_target_modules: list[str] = field(
        default_factory=lambda: ["q", "v"], metadata={"help": "names of the layers that get an adapter"}
    )


def names_of(classes: Sequence[type]) -> frozenset[str]:
    return frozenset(one.name for kind in classes for one in fields(kind))
