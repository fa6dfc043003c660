"""What training will take, before it is begun: parameters, memory, time and price. No weights are loaded.

Memory is of one device that holds everything; what FSDP or ZeRO-3 shard over devices is told apart from what each
keeps.
Activations after Korthikanti et al. 2022 (arXiv 2205.05198, §4, without the term that fused attention saves).
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fastchat.core.errors import SetupError

Method: TypeAlias = Literal["full", "LoRA", "QLoRA"]

_TRAINED = 16  # bytes a parameter: float32 weight and gradient, two moments of Adam
_HALF = 2
_NF4 = 0.516  # QLoRA: 4 bits and a doubly quantised scale for 64 weights
_ACTIVATIONS = 34  # bytes a token, layer and hidden unit
_CHECKPOINT = 2  # the same with gradient checkpointing, but for the layer that is at work
_LOGITS = 10  # bytes a token and word: bf16, and float32 twice for the loss
_GB = 1e9


class Hardware(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    memory_gb: float = Field(ge=0)
    bf16_tflops: float = Field(gt=0)
    share: float = Field(gt=0, le=1)
    usd_per_hour: float = Field(ge=0)
    source: str = ""


_HARDWARE = TypeAdapter(list[Hardware])


@dataclass(frozen=True, slots=True)
class ModelSize:
    parameters: int
    embedded: int  # of those, in embeddings that are looked up and not computed with
    linear: int  # of those, in linear layers that QLoRA rounds
    lora_per_rank: int  # parameters that a LoRA of rank 1 on all these layers has
    layers: int
    hidden: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    method: Method
    weights: float  # with gradients and the optimizer; FSDP and ZeRO-3 divide it by the devices
    activations: float  # of each device

    def on_each(self, devices: int) -> float:
        return self.weights / devices + self.activations


@dataclass(frozen=True, slots=True)
class Price:
    hardware: Hardware
    hours: float
    usd: float
    fits: tuple[Method, ...]


def measure(config: Any) -> ModelSize:
    """Of the model that a configuration of transformers describes: built without memory for weights.

    Raises:
        SetupError: transformers does not know the architecture.
    """
    import torch
    import transformers

    kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    try:
        with torch.device("meta"):
            model = kind.from_config(config)
    except ValueError as error:
        raise SetupError(f"How large this model is cannot be told from its configuration: {error}") from None
    model.tie_weights()
    text = config.get_text_config()
    head = model.get_output_embeddings()
    linear = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]
    is_tied = head is not None and head.weight is model.get_input_embeddings().weight
    return ModelSize(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        embedded=0 if is_tied else model.get_input_embeddings().weight.numel(),
        linear=sum(part.weight.numel() for part in linear),
        lora_per_rank=sum(part.in_features + part.out_features for part in linear),
        layers=text.num_hidden_layers + (getattr(text, "num_decoder_layers", None) or 0),
        hidden=text.hidden_size,
        vocabulary=text.vocab_size,
    )


def memory(size: ModelSize, method: Method, *, tokens: int, checkpointing: bool = True, lora_rank: int = 16) -> Memory:
    """`tokens` are those that a device computes with at once."""
    adapter = _TRAINED * lora_rank * size.lora_per_rank
    weights = {
        "full": _TRAINED * size.parameters,
        "LoRA": _HALF * size.parameters + adapter,
        "QLoRA": _NF4 * size.linear + _HALF * (size.parameters - size.linear) + adapter,
    }[method]
    layer = _ACTIVATIONS * size.hidden
    kept = _CHECKPOINT * size.hidden * size.layers + layer if checkpointing else layer * size.layers
    return Memory(method, weights, tokens * (kept + _LOGITS * size.vocabulary))


def operations(size: ModelSize, tokens: int, row: int, method: Method = "full") -> float:
    """Six for a parameter and token, four where the base gets no gradients, and causal attention over a row."""
    times = 6 if method == "full" else 4
    attention = times * size.layers * size.hidden * row
    return float(tokens) * (times * (size.parameters - size.embedded) + attention)


def price(size: ModelSize, hardware: Hardware, needs: Mapping[Method, Memory], done: float, devices: int) -> Price:
    """`done` are operations; `devices` of this kind share them."""
    hours = done / (hardware.bf16_tflops * 1e12 * hardware.share * devices) / 3600
    room = hardware.memory_gb * _GB or math.inf
    fits = tuple(method for method, need in needs.items() if need.on_each(devices) <= room)
    return Price(hardware, hours, hours * devices * hardware.usd_per_hour, fits)


def read_hardware(file: Path | None = None) -> list[Hardware]:
    """Ours, or those of a file like it.

    Raises:
        SetupError: it cannot be read, or says something else.
    """
    where = str(file or "hardware.toml")
    try:
        text = file.read_text("utf-8") if file else files(__package__).joinpath("hardware.toml").read_text("utf-8")
        return _HARDWARE.validate_python(tomllib.loads(text).get("hardware", []))
    except OSError as error:
        raise SetupError(f"--hardware {where} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SetupError(f"--hardware {where} is no text.") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"--hardware {where} is not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise SetupError(f"--hardware {where}: [[hardware]] {place}: {first['msg']}.") from None
