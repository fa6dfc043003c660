"""GGUF → a Hugging Face folder: weights as safetensors, configuration, tokenizer and chat template.

transformers reads the file; what it gets wrong is mended here. Quantised weights are unpacked, which makes them larger
and not better.
"""

import logging
import shutil
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.model.carried import edit_json
from fastchat.model.folders import built_whole
from fastchat.model.gguf import number, read_header

log = logging.getLogger(__name__)

FloatType: TypeAlias = Literal["bfloat16", "float16", "float32"]

# transformers splits text for these as GPT-2 does, which is right for the first group only: the second
# parts digits first.
_LIKE_GPT2 = frozenset({"gpt-2", "phi-2", "mpt", "olmo", "jais", "trillion", "jina-es", "jina-de", "granite-docling"})
_DIGITS_APART = frozenset(
    {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "granite-code"}
)


def gguf_to_safetensors(
    source: Path,
    target: Path,
    *,
    dtype: FloatType = "bfloat16",
    overwrite: bool = False,
    max_shard_size: str | int = "5GB",
) -> Path:
    """Write the folder `target`; it appears when all of it is there.

    Raises:
        SetupError: the file is none that transformers reads, or there is something at `target` already.
    """
    header = read_header(source)
    if number(header, "split.count") > 1 or "-of-" in source.stem:
        raise SetupError(f"'{source}' is one part of several. Join them first: llama-gguf-split --merge FIRST OUTPUT")
    try:
        import gguf  # noqa: F401 -- transformers needs it and says so less clearly
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingPackage(error.name or "transformers", "hf", "Converting GGUF files") from None

    with built_whole(target, overwrite=overwrite) as folder:
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source.parent,
                gguf_file=source.name,
                dtype=getattr(torch, dtype),
                quantization_config=transformers.GgufConfig(dequantize=True),
            )
        except (ValueError, NotImplementedError, KeyError) as error:
            raise SetupError(
                f"transformers cannot read '{source}' (architecture {header.get('general.architecture')!r}): {error}"
            ) from None
        _mend_tokenizer(tokenizer, header)
        tokenizer.model_max_length = number(header, "context_length") or tokenizer.model_max_length
        tokenizer.save_pretrained(folder)
        _make_plain(model, tokenizer)
        model.save_pretrained(folder, max_shard_size=max_shard_size)
        _tidy(folder)
    return target


def _mend_tokenizer(tokenizer: Any, header: dict[str, Any]) -> None:  # Any: transformers has no types for us
    """Split text before merging as llama.cpp does for this file."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    style = header.get("tokenizer.ggml.pre")
    backend = tokenizer.backend_tokenizer
    if style in _DIGITS_APART:
        backend.pre_tokenizer = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    elif header.get("tokenizer.ggml.model") == "gpt2" and _splits_like_gpt2(backend) and style not in _LIKE_GPT2:
        log.warning(
            "the file names the pre-tokenizer %r, which is not known here; text is split as GPT-2 does. "
            "Take the tokenizer from the original model if there is one.",
            style,
        )


def _splits_like_gpt2(backend: Any) -> bool:
    return type(backend.pre_tokenizer).__name__ == "ByteLevel"


def _make_plain(model: Any, tokenizer: Any) -> None:
    """Forget that the weights came quantised; nothing with a quantiser can be saved."""
    from transformers import GenerationConfig

    model.hf_quantizer = None
    for owner in (model, model.config):
        if hasattr(owner, "quantization_config"):
            del owner.quantization_config
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    given = model.config.eos_token_id
    if isinstance(given, list):
        ids["eos_token_id"] = given
    for name, value in ids.items():
        setattr(model.config, name, value)
    model.generation_config = GenerationConfig(**ids)


def _tidy(folder: Path) -> None:
    """Drop what only this machine and this version of transformers know, and let everybody read who may read here."""
    config, settings = folder / "config.json", folder / "tokenizer_config.json"
    edit_json(config, lambda values: values.pop("_model_name_or_path", None))
    edit_json(settings, lambda values: [values.pop(key, None) for key in ("is_local", "local_files_only", "backend")])
    # The same class under the name that older versions know as well.
    edit_json(settings, lambda values: values.update(tokenizer_class="PreTrainedTokenizerFast"))
    for file in folder.iterdir():
        shutil.copymode(config, file)
