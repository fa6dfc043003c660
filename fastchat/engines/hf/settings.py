"""The `engine_args` of the engine, and what can be said of its options without torch or transformers."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fastchat.core.errors import SetupError
from fastchat.engines.arguments import read_args
from fastchat.engines.hf.context import context_limit
from fastchat.engines.registry import EngineOptions
from fastchat.model.gguf import number, read_header

DEFAULT_SLOTS = 32
DEFAULT_CACHE_TOKENS = 65536  # of all requests together, on a CPU: memory is others' too
_SIZES = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_PICKLES = ("*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")


class HfArgs(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int | None = Field(None, ge=1, description="CPU threads. Without it one core is left for others.")
    cache_tokens: int | None = Field(
        None,
        ge=16,
        description="Tokens that the requests together may have in the cache; without it what memory allows.",
    )
    prompt_tokens_per_step: int | None = Field(
        None, ge=1, description="Tokens of new prompts read between two tokens of the answers that are under way."
    )
    draft_tokens: int = Field(4, ge=1, le=32, description="How far ahead a draft model guesses.")
    batching: Literal["paged", "dense"] | None = Field(
        None, description="`dense` computes each request alone; without it, only for models that need it."
    )
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"] | None = (
        Field(None, description="How attention is computed; without it what transformers chooses for the model.")
    )
    pooling: Literal["model", "mean", "cls", "last"] = Field(
        "model",
        description="How the embedding of a text is made from those of its tokens; `model`: as its files say, "
        "else the mean.",
    )
    embedding_batch: int = Field(32, ge=1, description="Texts of one call for embeddings that are read in one go.")


def parse_args(engine_args: Mapping[str, Any]) -> HfArgs:
    """
    Raises:
        SetupError: a key is unknown or its value impossible.
    """
    return read_args(HfArgs, "hf", engine_args)


def check(options: EngineOptions) -> None:
    """What can be told from the options and the small files of the model.

    Raises:
        SetupError: `load` would refuse this.
    """
    parse_args(options.engine_args)
    _check_device(options)
    path = Path(options.model_path)
    if path.suffix == ".gguf":
        trained_for = number(read_header(path), "context_length") or None
    else:
        config = read_config(path)
        check_weights(path)
        if options.quantization and "quantization_config" in config:
            raise SetupError(
                f"The weights in {str(path)!r} are quantised already "
                f"({config['quantization_config'].get('quant_method')}). Leave out --load-8bit and --load-4bit."
            )
        trained_for = context_limit(config, read_json(path / "tokenizer_config.json")).most
    check_context(options, trained_for)
    for name, adapter in options.adapters.items():
        check_adapter(name, Path(adapter))


def check_context(options: EngineOptions, most: int | None) -> None:
    """
    Raises:
        SetupError: more is asked for than the model was made for.
    """
    if most is not None and options.context_length is not None and options.context_length > most:
        raise SetupError(
            f"{options.model_path!r} was trained for {most} tokens; "
            f"a context of {options.context_length} is too long for it."
        )


def memory_size(text: str) -> int:
    """'8GiB' → bytes.

    Raises:
        SetupError: it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMG]i?B)", text.strip(), re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        raise SetupError(f"--max-gpu-memory {text}: this is no size. Write it like 8GiB or 800MiB.")
    return round(float(found[1]) * _SIZES[found[2].lower()])


def read_config(folder: Path) -> dict[str, Any]:
    """
    Raises:
        SetupError: it is no folder of a model.
    """
    if not (folder / "config.json").is_file():
        raise SetupError(f"{str(folder)!r} is no folder of a model: it has no file config.json.")
    return read_json(folder / "config.json")


def read_json(file: Path) -> dict[str, Any]:
    """Empty if there is no such file.

    Raises:
        SetupError: it is damaged.
    """
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise SetupError(f"'{file}' cannot be read: {error}. Fetch it again.") from None
    return content if isinstance(content, dict) else {}


def check_weights(folder: Path) -> None:
    """
    Raises:
        SetupError: there are none, or only a pickle that could run code of its author's.
    """
    if any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "*.bin")):
        return
    if pickles := sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern)):
        raise SetupError(
            f"{str(folder)!r} holds its weights as a pickle ({pickles[0]}), which can run any program when it is read. "
            "If you trust its author, load it with what wrote it, and save it with save_pretrained."
        )
    raise SetupError(f"{str(folder)!r} holds no weights: no file ends with .safetensors.")


def check_adapter(name: str, folder: Path) -> None:
    """
    Raises:
        SetupError: there is no LoRA adapter in the folder.
    """
    settings = read_json(folder / "adapter_config.json")
    if not settings:
        raise SetupError(f"Adapter {name!r}: {str(folder)!r} is no folder of a PEFT adapter (adapter_config.json).")
    if settings.get("peft_type") != "LORA":
        raise SetupError(f"Adapter {name!r} is of type {settings.get('peft_type')}; this engine takes LORA.")
    if not any((folder / file).is_file() for file in ("adapter_model.safetensors", "adapter_model.bin")):
        raise SetupError(f"Adapter {name!r}: {str(folder)!r} holds no adapter_model.safetensors.")


def _check_device(options: EngineOptions) -> None:
    if options.max_gpu_memory is not None:
        memory_size(options.max_gpu_memory)
    if options.device in ("cpu", "mps"):
        given = {
            "--num-gpus": options.num_gpus > 1,
            "--max-gpu-memory": options.max_gpu_memory is not None,
            "--cpu-offloading": options.cpu_offloading,
        }
        if flag := next((flag for flag, is_given in given.items() if is_given), None):
            raise SetupError(f"{flag} is for GPUs with memory of their own; --device {options.device} has none.")
    if options.dtype == "float16" and options.quantization == "int4" and options.device == "cpu":
        raise SetupError("--load-4bit computes in bfloat16 or float32 on a CPU, not in float16. Leave out --dtype.")
