"""What a training run is, whoever described it: FastChat's flags (`seed_parsing`) or a recipe (`recipes`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Scaling: TypeAlias = Literal["linear", "dynamic", "yarn"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    path: str  # a folder, or a name on the hub
    trust_remote_code: bool = False
    attention: str | None = None  # of transformers; None: what keeps packed conversations apart on this machine
    scaling: Scaling = "linear"  # of positions, where rows are longer than the model's


@dataclass(frozen=True, slots=True)
class DataChoice:
    files: Sequence[Path]
    eval_files: Sequence[Path] = ()
    held_out: float = 0.0  # share of the conversations kept back to measure the loss on
    max_length: int = 2048
    conv_template: str | None = None  # None: what the model ships or its name calls for
    packing: bool = True
    most: int | None = None  # conversations


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """A LoRA adapter beside a base that stays as it is."""

    rank: int = 8
    alpha: float = 16
    dropout: float = 0.05
    targets: Sequence[str] | Literal["all-linear"] = ("q_proj", "v_proj")
    bias: Literal["none", "all", "lora_only"] = "none"
    dora: bool = False
    quantize: Literal["nf4"] | None = None  # of the base
    begin_with: str | None = None  # an adapter's folder


@dataclass(frozen=True, slots=True)
class JudgingChoice:
    """How the model in training is compared with what it began as."""

    files: Sequence[Path] = ()  # of questions; without any, those that are held out
    count: int = 50
    max_tokens: int = 256  # of an answer
    batch: int = 8  # questions that are answered at once
    every: int | None = None  # updates; None: at each evaluation


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    model: ModelChoice
    data: DataChoice
    arguments: Any  # transformers' TrainingArguments
    adapter: AdapterChoice | None = None
    judging: JudgingChoice | None = None
    batch: int | None = None  # conversations of an update; None: as the arguments say
    told: Mapping[str, Any] = field(default_factory=dict)  # the flags or the recipe, for the lineage
