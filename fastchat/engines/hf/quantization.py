"""Rounding weights to 8 or 4 bits while transformers loads them, one tensor at a time.

Plugs into transformers as a quantiser of its own, because none of its own serves CPU, CUDA, Metal and the others alike
(torchao's 8-bit layers took 2 to 8 times the time of bfloat16 on a CPU; ours take half of it for a single sequence).
"""

from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.core_model_loading import ConversionOps
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AUTO_QUANTIZER_MAPPING
from transformers.quantizers.base import HfQuantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from fastchat.engines.hf.quantized import GROUP, Int4Linear, Int8Embedding, Int8Linear, to_int4, to_int8
from fastchat.engines.registry import Quantization

_METHOD = "fastchat"
_QUANTIZED = (Int8Linear, Int8Embedding, Int4Linear)


class RoundedWeights(QuantizationConfigMixin):  # type: ignore[misc]  # transformers is untyped
    """What `from_pretrained` takes as `quantization_config`."""

    def __init__(self, bits: int = 8, **_: Any) -> None:
        self.quant_method = cast(Any, _METHOD)  # transformers lists its own only
        self.bits = bits


def rounding(quantization: Quantization) -> RoundedWeights:
    """The `quantization_config` for a model that is loaded."""
    AUTO_QUANTIZATION_CONFIG_MAPPING.setdefault(_METHOD, RoundedWeights)
    AUTO_QUANTIZER_MAPPING.setdefault(_METHOD, WeightRounder)
    return RoundedWeights(bits=8 if quantization == "int8" else 4)


class WeightRounder(HfQuantizer):  # type: ignore[misc]
    def __init__(self, quantization_config: RoundedWeights, **settings: Any) -> None:
        super().__init__(quantization_config, **settings)
        self.transposed: set[nn.Module] = set()  # whose weights are stored the other way round
        self.misshapen: list[str] = []  # transformers checks no shapes of what is rounded

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **_: Any) -> None:
        vocabulary = _vocabulary_layers(model)
        left_alone = _left_alone(model, vocabulary)
        for name, module in list(model.named_modules()):
            is_vocabulary = name in vocabulary
            if is_vocabulary or (type(module) in (nn.Linear, Conv1D) and name not in left_alone):
                with torch.device("meta"):
                    model.set_submodule(name, self._replacement(module, is_vocabulary=is_vocabulary))
        _tie_scales(model)

    def _replacement(self, module: nn.Module, *, is_vocabulary: bool) -> nn.Module:
        dtype = module.weight.dtype
        if isinstance(module, nn.Embedding):
            return Int8Embedding(
                module.num_embeddings,
                module.embedding_dim,
                padding=module.padding_idx,
                factor=_factor(module),
                dtype=dtype,
            )
        is_transposed = isinstance(module, Conv1D)
        columns, rows = (module.nx, module.nf) if is_transposed else (module.in_features, module.out_features)
        # The words are kept in 8 bits always; and 4-bit kernels want whole groups.
        fits = not is_vocabulary and columns % GROUP == 0 and rows % 16 == 0
        layer = Int4Linear if self.quantization_config.bits == 4 and fits else Int8Linear
        replacement = layer(columns, rows, bias=module.bias is not None, dtype=dtype)
        if is_transposed:
            self.transposed.add(replacement)
        return replacement

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **others: Any) -> bool:
        module, _, name = param_name.rpartition(".")
        return name == "weight" and isinstance(model.get_submodule(module), _QUANTIZED)

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **_: Any) -> None:
        if self.misshapen:
            raise ValueError(f"size mismatch for {'; '.join(self.misshapen)}")
        for parameter in model.parameters():
            if parameter.dtype != torch.int8 and parameter.device.type == "cpu":
                # What was not rounded still lies in the file, and would keep all of it mapped.
                parameter.data = parameter.data.clone()

    def get_quantize_ops(self) -> ConversionOps:
        return _Round(self)

    def is_serializable(self) -> bool:
        return False

    @property
    def is_trainable(self) -> bool:
        return False


class _Round(ConversionOps):  # type: ignore[misc]
    def __init__(self, quantizer: WeightRounder) -> None:
        self.quantizer = quantizer

    def convert(
        self, input_dict: dict[str, Any], model: PreTrainedModel | None = None, **_: Any
    ) -> dict[str, torch.Tensor]:
        assert model is not None
        rounded: dict[str, torch.Tensor] = {}
        for name, found in input_dict.items():
            value = found[0] if isinstance(found, list) else found
            if not self.quantizer.param_needs_quantization(model, name):
                rounded[name] = value
                continue
            prefix = name.removesuffix("weight")
            layer = model.get_submodule(prefix.removesuffix("."))
            value = value.t().contiguous() if layer in self.quantizer.transposed else value
            if tuple(value.shape) != _shape(layer):
                self.quantizer.misshapen.append(f"{name}: {tuple(value.shape)} instead of {_shape(layer)}")
                value = value.new_zeros(_shape(layer))
            parts = (to_int4 if isinstance(layer, Int4Linear) else to_int8)(value, layer.weight_scale.dtype)
            rounded |= {prefix + part: tensor for part, tensor in parts.items()}
        return rounded


def _shape(layer: nn.Module) -> tuple[int, int]:
    if isinstance(layer, nn.Embedding):
        return layer.num_embeddings, layer.embedding_dim
    return layer.out_features, layer.in_features


def _vocabulary_layers(model: PreTrainedModel) -> set[str]:
    """Names of the layers that turn words into vectors and back, if all that share a matrix can be replaced."""
    names = {name for name, module in model.named_modules() if module is model.get_input_embeddings()}
    for target, source in model.all_tied_weights_keys.items():
        pair = {key.removesuffix(".weight") for key in (target, source)}
        if names & pair:
            names |= pair
    modules = [model.get_submodule(name) for name in names]
    return names if all(type(module) is nn.Linear or _is_embedding(module) for module in modules) else set()


def _is_embedding(module: nn.Module) -> bool:
    return type(module) is nn.Embedding or type(module).__name__.endswith("ScaledWordEmbedding")


def _factor(embedding: nn.Module) -> float:
    factor = getattr(embedding, "scalar_embed_scale", None) or getattr(embedding, "embed_scale", None)
    return 1.0 if factor is None else float(factor)


def _left_alone(model: PreTrainedModel, vocabulary: set[str]) -> set[str]:
    """Layers that share their matrix with one that cannot be replaced."""
    tied = {key.removesuffix(".weight") for pair in model.all_tied_weights_keys.items() for key in pair}
    return tied - vocabulary


def _tie_scales(model: PreTrainedModel) -> None:
    """Where two layers share a matrix they share its scales."""
    for target, source in list(model.all_tied_weights_keys.items()):
        layer = model.get_submodule(target.rpartition(".")[0])
        if target.endswith(".weight") and isinstance(layer, _QUANTIZED):
            model.all_tied_weights_keys[f"{target}_scale"] = f"{source}_scale"
