"""A LoRA adapter of PEFT merged into its base, row by row and without loading the model.

    W + (B A) · alpha / r          r becomes √r with rank-stabilised LoRA
    m · (W + B A s) / ‖W + B A s‖  with DoRA, row by row

What changes the base in other ways (other kinds of adapters, PiSSA's residual) is refused, not approximated.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastchat.core.errors import SetupError
from fastchat.model.carried import carry, edit_json
from fastchat.model.manifest import Manifest
from fastchat.model.safetensors_file import TensorShape
from fastchat.model.shards import Checkpoint, Tensor, torch_dtype
from fastchat.model.writing import ShardRecord, WriteOptions, prepare, write_model

_PART = re.compile(r"(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(\.weight)?$")
_OF_THE_ADAPTER = ("chat_template.jinja", "generation_config.json", "lineage.json")
_CHANGED_BASES = ("pissa", "olora", "corda", "loftq")


class AdapterConfig(BaseModel):
    """What of `adapter_config.json` merging needs."""

    model_config = ConfigDict(extra="ignore")

    peft_type: str
    lora_alpha: float = 8
    alpha_pattern: dict[str, float] = Field(default_factory=dict)
    use_rslora: bool = False
    fan_in_fan_out: bool = False
    init_lora_weights: bool | str | None = True
    base_model_name_or_path: str | None = None

    @classmethod
    def of(cls, folder: Path) -> "AdapterConfig":
        """
        Raises:
            SetupError: there is none, or the adapter is of a kind that cannot be merged here.
        """
        file = folder / "adapter_config.json"
        try:
            config = cls.model_validate_json(file.read_bytes())
        except OSError:
            raise SetupError(f"'{folder}' is no adapter: it has no adapter_config.json.") from None
        except ValidationError as error:
            raise SetupError(f"'{file}' is not readable: {error.errors()[0]['msg']}.") from None
        if config.peft_type != "LORA":
            raise SetupError(f"'{folder}' is an adapter of the kind {config.peft_type}; only LORA can be merged.")
        if any(word in str(config.init_lora_weights).lower() for word in _CHANGED_BASES):
            raise SetupError(
                f"'{folder}' was trained on a base that {config.init_lora_weights} had changed. Save it again with "
                "PEFT's path_initial_model_for_weight_conversion, which makes a plain LoRA adapter of it."
            )
        return config

    def scaling(self, module: str, rank: int) -> float:
        matching = (key for key in self.alpha_pattern if re.match(rf"(.*\.)?({key})$", module))
        key = next(matching, None)
        alpha = self.lora_alpha if key is None else self.alpha_pattern[key]
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


def apply_lora(base: Path, adapter: Path, target: Path, options: WriteOptions) -> Manifest:
    """Write base and adapter as one model, in the base's number format and with its tokenizer. How it is asked, and
    what ends its answers, the adapter says, if it says anything: it may have been trained otherwise than its base.

    Raises:
        SetupError: they do not fit together, the adapter cannot be merged, or there is no room.
    """
    prepare(target, {"--base-model-path": base, "--lora-path": adapter}, overwrite=options.overwrite)
    config = AdapterConfig.of(adapter)
    base_model, parts = Checkpoint.open(base), Checkpoint.open(_adapter_file(adapter))
    changes = _Changes.read(parts, base_model, config)
    tensors = {name: changes.shape(tensor) for name, tensor in base_model.tensors.items()}

    def accompany(folder: Path) -> None:
        carry(base, folder)
        rows = {tensors[name].rows for name in changes.replaced if base_model.tensors[name].rows != tensors[name].rows}
        if rows:  # tokens were added, and only the adapter's tokenizer knows them
            edit_json(folder / "config.json", lambda values: values.update(vocab_size=max(rows)))
            carry(adapter, folder)
        carry(adapter, folder, _OF_THE_ADAPTER)

    values = json.loads((adapter / "adapter_config.json").read_text())
    inputs = [base_model.stamp(), parts.stamp(), values]
    return write_model(target, tensors, _Merging(base_model, parts, changes), "apply-lora", inputs, options, accompany)


@dataclass(frozen=True, slots=True)
class _Module:
    """The names of one module's parts in the adapter."""

    down: str  # A, shape (r, inputs)
    up: str  # B, shape (outputs, r)
    magnitude: str | None
    scaling: float
    is_transposed: bool  # the base holds (inputs, outputs)


@dataclass(frozen=True, slots=True)
class _Changes:
    """By the names of the base's tensors."""

    merged: Mapping[str, _Module]
    replaced: Mapping[str, TensorShape]

    @classmethod
    def read(cls, parts: Checkpoint, base: Checkpoint, config: AdapterConfig) -> "_Changes":
        modules: dict[str, dict[str, str]] = {}
        replaced = {}
        for name, tensor in parts.tensors.items():
            plain = name.removeprefix("base_model.model.").replace(".base_layer.", ".")
            if match := _PART.fullmatch(plain):
                modules.setdefault(match[1], {})[match[2]] = name
            elif "lora_" in plain or "token_adapter" in plain:
                raise SetupError(f"{name} cannot be merged here. PEFT can: model.merge_and_unload().")
            else:
                replaced[_in_base(plain, base)] = tensor
        merged = {}
        for module, names in modules.items():
            name = _in_base(f"{module}.weight", base)
            merged[name] = _module(module, names, parts, base.tensors[name], config)
        for name, tensor in replaced.items():
            mine = base.tensors[name]
            if mine.shape[1:] != tensor.shape[1:] or (mine.rows != tensor.rows and len(mine.shape) != 2):
                raise SetupError(f"{name} is {list(tensor.shape)} in the adapter and {list(mine.shape)} in the base.")
        return cls(merged, replaced)

    def shape(self, tensor: TensorShape) -> TensorShape:
        other = self.replaced.get(tensor.name)
        return TensorShape(tensor.name, tensor.dtype, other.shape) if other else tensor


@dataclass(slots=True)
class _Merging:
    base: Checkpoint
    parts: Checkpoint
    changes: _Changes
    _factors: dict[str, Tensor] = field(default_factory=dict)  # of the tensor being merged

    def rows(self, tensor: TensorShape, start: int, stop: int) -> Tensor:
        dtype = torch_dtype(tensor.dtype)
        if tensor.name in self.changes.replaced:
            rows = self.parts.read(self.changes.replaced[tensor.name].name, start, stop).to(dtype)
        else:
            rows = self.base.read(tensor.name, start, stop)
        module = self.changes.merged.get(tensor.name)
        if module is None:
            return rows
        if module.is_transposed:
            change = self._factor(module.down).T[start:stop] @ self._factor(module.up).T
        else:
            change = self._factor(module.up)[start:stop] @ self._factor(module.down)
        merged = rows.float() + change * module.scaling
        if module.magnitude:
            magnitude = self._factor(module.magnitude).reshape(-1, 1)[start:stop]
            merged *= magnitude / merged.norm(dim=1, keepdim=True)
        return merged.to(dtype)

    def finish(self, record: ShardRecord, folder: Path) -> None:
        pass

    def check(self, tensor: TensorShape, digest: str) -> None:
        self._factors.clear()

    def _factor(self, name: str) -> Tensor:
        if name not in self._factors:
            self._factors[name] = self.parts.read(name).float()
        return self._factors[name]


def _module(
    module: str, names: Mapping[str, str], parts: Checkpoint, weight: TensorShape, config: AdapterConfig
) -> _Module:
    is_embedding = "lora_embedding_A" in names
    down, up = (names.get(f"lora_{'embedding_' if is_embedding else ''}{half}") for half in "AB")
    if down is None or up is None:
        raise SetupError(f"The adapter is not complete: {module} has only {', '.join(names)}.")
    (rank, inputs), (outputs, _) = parts.tensors[down].shape[:2], parts.tensors[up].shape[:2]
    is_transposed = is_embedding or config.fan_in_fan_out
    wanted = (inputs, outputs) if is_transposed else (outputs, inputs)
    if weight.shape != wanted:
        raise SetupError(
            f"The adapter is for another model: {module} is {list(wanted)} there and {list(weight.shape)} in the base."
        )
    magnitude = names.get("lora_magnitude_vector")
    if magnitude and is_transposed:
        raise SetupError(f"{module} has DoRA on a transposed weight, which PEFT can merge: model.merge_and_unload().")
    return _Module(down, up, magnitude, config.scaling(module, rank), is_transposed)


def _in_base(name: str, base: Checkpoint) -> str:
    """The base's own name: checkpoints of some models leave out what stands before their layers.

    Raises:
        SetupError: there is nothing of this name, or more than one.
    """
    if name in base.tensors:
        return name
    found = [other for other in base.tensors if name.endswith(f".{other}") or other.endswith(f".{name}")]
    if len(found) != 1:
        raise SetupError(
            f"The adapter is for another model: it changes {name}, which '{base.path}' "
            f"{'has more than once' if found else 'does not have'}."
        )
    return found[0]


def _adapter_file(folder: Path) -> Path:
    for name in ("adapter_model.safetensors", "adapter_model.bin"):
        if (folder / name).is_file():
            return folder / name
    raise SetupError(f"'{folder}' has no adapter_model.safetensors. Give a folder that PEFT has saved.")
