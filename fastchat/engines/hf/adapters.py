"""Several LoRA adapters on one base, in one process. The base's own weights are never changed."""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.engines.hf.errors import loading_errors
from fastchat.engines.hf.loaded import LoadedModel
from fastchat.engines.hf.settings import check_adapter

_PART = re.compile(r"^base_model\.model\.(?P<layer>.+)\.lora_(?P<side>A|B|embedding_A|embedding_B)(?:\.weight)?$")


def attach(model: Any, adapters: Mapping[str, str]) -> None:
    """Load adapters by name; afterwards the base answers until one is activated.

    Raises:
        SetupError: one cannot be read, or was made for another model.
    """
    try:
        import peft  # noqa: F401
    except ImportError:
        raise MissingPackage("peft", "model_worker", "A LoRA adapter") from None
    for name, folder in adapters.items():
        check_adapter(name, Path(folder))
        parts = _tensors(Path(folder))
        _check_fit(model, name, folder, parts)
        with loading_errors(Path(folder)), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by a name that will change
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several adapters are what we want
            model.load_adapter(folder, adapter_name=_inner_name(name), adapter_kwargs={"local_files_only": True})
    model.disable_adapters()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.eval()


@contextmanager
def using_adapter(loaded: LoadedModel, name: str | None) -> Iterator[None]:
    """What the model computes inside goes through this adapter; None: the base alone. In the model's thread only.

    It stays chosen afterwards: whoever runs the model says with which adapter, so there is nothing to go back to.
    """
    if loaded.adapters:
        _activate(loaded.model, name)
    yield


def _activate(model: Any, name: str | None) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    wanted = [] if name is None else [_inner_name(name)]
    for layer in model.modules():
        if not isinstance(layer, BaseTunerLayer):
            continue
        if wanted == ([] if layer.disable_adapters else layer.active_adapters):
            continue
        layer.enable_adapters(name is not None)
        if wanted:
            layer.set_adapter(wanted, inference_mode=True)


def _inner_name(name: str) -> str:
    """PEFT keeps adapters in modules by name, whose names hold no dot."""
    return name.replace(".", "·")


def _tensors(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Names and shapes."""
    with loading_errors(folder):
        file = folder / "adapter_model.safetensors"
        if file.is_file():
            from safetensors import safe_open

            with safe_open(file, "pt") as opened:
                return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        import torch

        stored = torch.load(folder / "adapter_model.bin", map_location="meta", weights_only=True)
        return {name: tuple(tensor.shape) for name, tensor in stored.items()}


def _check_fit(model: Any, name: str, folder: str, parts: Mapping[str, tuple[int, ...]]) -> None:
    """PEFT passes over layers the base does not have; that would be another model than the one that was trained."""
    layers = dict(model.named_modules())
    fitting = 0
    for key, shape in parts.items():
        found = _PART.match(key)
        if found is None:
            continue
        layer: Any = layers.get(found["layer"])
        base = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
        columns, rows = getattr(base, "in_features", None), getattr(base, "out_features", None)
        here, there = {"A": (columns, shape[-1]), "B": (rows, shape[0])}.get(found["side"], (None, None))
        if base is None or (here is not None and here != there):
            fault = "is not there" if base is None else f"has size {here} here and {there} there"
            raise SetupError(
                f"Adapter {name!r} ({folder}) was made for another model: it changes {found['layer']!r}, which {fault}."
            )
        fitting += 1
    if not fitting:
        raise SetupError(f"Adapter {name!r} ({folder}) holds no LoRA matrices.")
