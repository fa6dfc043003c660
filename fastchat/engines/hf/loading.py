"""A folder or file → the model in memory. Every choice is made here, from the options and from what there is."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.engines.cpu import default_threads
from fastchat.engines.hf import devices, settings
from fastchat.engines.hf.architecture import auto_map, kind_of, model_class, sees
from fastchat.engines.hf.context import context_limit
from fastchat.engines.hf.errors import check_completeness, loading_errors, remote_code_error
from fastchat.engines.hf.loaded import Kind, LoadedModel
from fastchat.engines.hf.settings import HfArgs
from fastchat.engines.registry import EngineOptions
from fastchat.model.convert import gguf_to_safetensors
from fastchat.model.derived import derived
from fastchat.model.sources import resolve

log = logging.getLogger(__name__)

_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_ROUNDED_BYTES = {"int8": 1.03, "int4": 0.7}  # scales included, and that some layers stay in 8 bits


def import_libraries() -> None:
    """
    Raises:
        MissingPackage: one of those that are always needed.
    """
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise MissingPackage(error.name or "transformers", "model_worker", "The engine 'hf'") from None
    # What is wrong, we say ourselves; its reports tell users of adapters that their weights were missing.
    transformers.utils.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()


def load_model(options: EngineOptions, args: HfArgs) -> LoadedModel:
    """
    Raises:
        SetupError: the files, the options, the hardware and what is installed do not go together.
    """
    import_libraries()
    import torch

    torch.set_num_threads(args.threads or default_threads())
    path = Path(options.model_path)
    if path.suffix == ".gguf":
        path = converted(path)
    own_adapter = None
    if not (path / "config.json").is_file() and (path / "adapter_config.json").is_file():
        own_adapter, path = path, _base_of(path)
    description = settings.read_config(path)
    settings.check_weights(path)
    config = _config(path, description, trust_remote_code=options.trust_remote_code)
    kind = kind_of(config, description)
    hardware = devices.look()
    device = devices.choose_device(options, hardware)
    dtype = devices.choose_dtype(options, device, hardware, kind, _dtype_name(config))
    if device == "cpu":
        _check_memory(path, options, _dtype_name(config) or dtype, dtype, hardware.memory)
    placement = _placement(options, device, hardware)
    model = _weights(path, config, kind, options, args, dtype, placement)
    if own_adapter is not None:
        model = _merged(model, own_adapter)
        _learn_ends(model, own_adapter)
    if options.adapters:
        from fastchat.engines.hf.adapters import attach

        attach(model, options.adapters)
    # An adapter may have been trained with a format, or tokens, that its base lacks.
    has_tokenizer = own_adapter is not None and (own_adapter / "tokenizer_config.json").is_file()
    tokenizer = _tokenizer(own_adapter if own_adapter is not None and has_tokenizer else path, options)
    processor = _processor(path, options) if sees(config) else None
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        kind=kind,
        context_length=_context_length(path, description, options, kind),
        device=model.device,
        eos_token_ids=_ends(model, tokenizer),
        adapters=tuple(options.adapters),
        processor=processor,
        chat_template=options.chat_template or _own_template(processor) or _own_template(tokenizer),
    )


def converted(file: Path) -> Path:
    """The folder made from a GGUF file: in the cache, made once for each state of the file.

    Raises:
        SetupError: it is no GGUF file, or transformers does not read its architecture.
    """
    return derived(file, "", lambda target: gguf_to_safetensors(file, target))


def _config(path: Path, description: Mapping[str, Any], *, trust_remote_code: bool) -> Any:
    import transformers

    # transformers would ask at the terminal whether it may run the code.
    is_known = description.get("model_type") in transformers.CONFIG_MAPPING
    if auto_map(description) and not is_known and not trust_remote_code:
        raise remote_code_error(path, auto_map(description))
    with loading_errors(path):
        return transformers.AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)


def _weights(
    path: Path,
    config: Any,
    kind: Kind,
    options: EngineOptions,
    args: HfArgs,
    dtype: str,
    placement: Mapping[str, Any],
) -> Any:
    import torch

    how: dict[str, Any] = dict(placement)
    if options.quantization:
        from fastchat.engines.hf.quantization import rounding

        how["quantization_config"] = rounding(options.quantization)
    if args.attn_implementation:
        how["attn_implementation"] = args.attn_implementation
    with loading_errors(path):
        model, found = model_class(config, kind).from_pretrained(
            path,
            config=config,
            dtype=getattr(torch, dtype),
            trust_remote_code=options.trust_remote_code,
            local_files_only=True,
            weights_only=True,
            ignore_mismatched_sizes=True,  # reported, and refused below with names and shapes
            output_loading_info=True,
            **how,
        )
        if kind == "encoder" and any(name.startswith("pooler.") for name in found["missing_keys"]):
            model.pooler = None  # many folders leave it out; we pool ourselves
            found["missing_keys"] = {name for name in found["missing_keys"] if not name.startswith("pooler.")}
        check_completeness(path, found)
    return model.eval()


def _dtype_name(config: Any) -> str | None:
    return None if config.dtype is None else str(config.dtype).removeprefix("torch.")


def _placement(options: EngineOptions, device: str, hardware: devices.Hardware) -> dict[str, Any]:
    limits = devices.memory_limits(options, device, hardware)  # type: ignore[arg-type]
    if limits is not None:
        return {"device_map": "auto", "max_memory": limits}
    return {} if device == "cpu" else {"device_map": {"": device}}


def _check_memory(path: Path, options: EngineOptions, stored_as: str, dtype: str, available: int | None) -> None:
    """Before the kernel ends the process without a word."""
    files = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
    numbers = sum(file.stat().st_size for file in files) / _BYTES.get(stored_as, 2)
    needed = numbers * (_ROUNDED_BYTES[options.quantization] if options.quantization else _BYTES[dtype])
    if available is not None and needed > available:
        raise SetupError(
            f"{str(path)!r} needs about {needed / 1e9:.1f} GB of memory; {available / 1e9:.1f} GB are free. "
            "Try --load-8bit or --load-4bit, or a smaller model."
        )


def _base_of(adapter: Path) -> Path:
    settings.check_adapter(adapter.name, adapter)
    base = settings.read_json(adapter / "adapter_config.json").get("base_model_name_or_path")
    if not base:
        raise SetupError(f"The adapter in {str(adapter)!r} does not say for which model it was made.")
    return Path(resolve(base))


def _merged(model: Any, adapter: Path) -> Any:
    """The model with the adapter that was given as if it were the model itself."""
    from fastchat.engines.hf.adapters import attach

    attach(model, {"default": str(adapter)})
    model.set_adapter("default")
    if not getattr(model, "is_quantized", False):
        from peft.tuners.tuners_utils import BaseTunerLayer

        for name, layer in list(model.named_modules()):
            if isinstance(layer, BaseTunerLayer):
                layer.merge()
                model.set_submodule(name, layer.get_base_layer())
    return model


def _learn_ends(model: Any, adapter: Path) -> None:
    """What ends an answer, if the adapter says so: it may have learned other ends than its base."""
    import transformers

    if (adapter / "generation_config.json").is_file():
        with loading_errors(adapter):
            model.generation_config = transformers.GenerationConfig.from_pretrained(adapter, local_files_only=True)


def _tokenizer(path: Path, options: EngineOptions) -> Any:
    import transformers

    described = settings.read_json(path / "tokenizer_config.json")
    own: dict[str, Any] = {}
    if not (path / "tokenizer.json").is_file() and "llamatokenizer" in str(described.get("tokenizer_class")).lower():
        own["add_bos_token"] = described.get("add_bos_token", True)  # what those who left it out relied on
    with loading_errors(path):
        try:
            return transformers.AutoTokenizer.from_pretrained(
                path, trust_remote_code=options.trust_remote_code, local_files_only=True, **own
            )
        except ValueError as error:
            if "trust_remote_code" in str(error):
                raise remote_code_error(path, auto_map(described)) from None
            raise


def _processor(path: Path, options: EngineOptions) -> Any:
    import transformers

    with loading_errors(path):
        return transformers.AutoProcessor.from_pretrained(
            path, trust_remote_code=options.trust_remote_code, local_files_only=True
        )


def _context_length(path: Path, description: Mapping[str, Any], options: EngineOptions, kind: Kind) -> int:
    limit = context_limit(description, settings.read_json(path / "tokenizer_config.json"), is_encoder=kind == "encoder")
    settings.check_context(options, limit.most)
    return options.context_length or limit.usual


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    owners = (getattr(model, "generation_config", None), model.config, tokenizer)
    found: set[int] = set()
    for owner in owners:
        ids = getattr(owner, "eos_token_id", None)
        found.update(ids if isinstance(ids, list | tuple) else [] if ids is None else [ids])
    return frozenset(found)


def _own_template(owner: Any) -> str | None:
    template = getattr(owner, "chat_template", None)
    return template.get("default") if isinstance(template, dict) else template
