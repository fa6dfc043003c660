"""The `engine_args` of the engine, and what they and the common options come to."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.engines.arguments import read_args
from fastchat.engines.cpu import default_threads
from fastchat.engines.registry import EngineOptions
from fastchat.model.gguf import number, read_header

DEFAULT_SLOTS = 16
# All requests together. The cache of the built-in model takes 14 KB a token, that of an 8B model about 72 KB.
DEFAULT_CACHE_TOKENS = 32768
_MOSTLY_Q4_1 = 3  # of `general.file_type`
CACHE_BLOCK = 32  # tokens; how the library cuts its cache on a CPU


class OpenvinoArgs(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int | None = Field(None, ge=1, description="CPU threads. Without it one core is left for others.")
    batch: int = Field(256, ge=16, description="Tokens computed in one step, of prompts and answers together.")
    cache_tokens: int | None = Field(
        None, ge=CACHE_BLOCK, description="Size of the KV cache, all requests together. When full, requests take turns."
    )
    cache_type: Literal["u8", "f16", "bf16", "f32"] = Field("u8", description="Number format of the KV cache.")
    prefix_cache: bool = Field(True, description="Keep what was computed for a prompt for those that begin alike.")
    keep_quality: bool = Field(
        True, description="Read a file in Q4_1 from a copy in Q8_0 in the cache, made once: OpenVINO rounds Q4_1."
    )
    precision: Literal["bf16", "f32"] | None = Field(
        None,
        description="Number format of what is not quantised. Without it: what the CPU is fast at.",
    )


class HostSettings(BaseModel):
    """What the process that holds the pipeline is told when it starts."""

    model_config = ConfigDict(frozen=True)

    model_path: str
    context_length: int
    slots: int
    batch: int
    cache_blocks: int
    prefix_cache: bool
    properties: dict[str, str | int | bool]  # in OpenVINO's own words


def parse_args(engine_args: Mapping[str, Any]) -> OpenvinoArgs:
    """
    Raises:
        SetupError: a key is unknown or its value impossible.
    """
    return read_args(OpenvinoArgs, "openvino", engine_args)


def check(options: EngineOptions) -> None:
    """
    Raises:
        SetupError: `load` would refuse this.
    """
    host_settings(options)


def require_library() -> None:
    """
    Raises:
        MissingPackage: it is not installed. It is not imported: that happens in a process of its own.
    """
    if find_spec("openvino_genai") is None:
        raise MissingPackage("openvino_genai", "openvino", "The engine 'openvino'")


def host_settings(options: EngineOptions) -> HostSettings:
    """
    Raises:
        SetupError: the options do not fit the model, or there is no model.
    """
    args = parse_args(options.engine_args)
    if options.device not in (None, "cpu"):
        raise SetupError(
            f"--device {options.device}: the engine 'openvino' computes on the CPU here. Leave the flag out, or take "
            "the engine 'llamacpp' or 'hf' for a GPU."
        )
    trained = trained_context(Path(options.model_path))
    slots = options.slots or DEFAULT_SLOTS
    cache = _cache_tokens(options, args, slots)
    context = options.context_length or min(trained, cache)
    if context > trained:
        raise SetupError(
            f"{options.model_path!r} was trained for {trained} tokens; a context of {context} is too long for it."
        )
    if cache < context:
        raise SetupError(f"engine_args cache_tokens: {cache} do not hold one request of {context} tokens.")
    properties: dict[str, str | int | bool] = {
        "INFERENCE_NUM_THREADS": args.threads or default_threads(),
        "ENABLE_CPU_PINNING": False,  # a thread tied to a core cannot get out of the way of others
        "KV_CACHE_PRECISION": args.cache_type,
    }
    if args.precision is not None:
        properties["INFERENCE_PRECISION_HINT"] = args.precision
    return HostSettings(
        model_path=options.model_path,
        context_length=context,
        slots=slots,
        batch=max(args.batch, slots),
        # Requests share blocks only when they are full: each may need one of its own at its end, and one for growing.
        cache_blocks=-(-cache // CACHE_BLOCK) + 2 * slots,
        prefix_cache=args.prefix_cache,
        properties=properties,
    )


def _cache_tokens(options: EngineOptions, args: OpenvinoArgs, slots: int) -> int:
    if args.cache_tokens is not None:
        return args.cache_tokens
    if options.context_length is not None:
        return max(options.context_length, min(DEFAULT_CACHE_TOKENS, options.context_length * slots))
    return DEFAULT_CACHE_TOKENS


def trained_context(model: Path) -> int:
    """
    Raises:
        SetupError: this is neither a language model in GGUF nor a folder of OpenVINO IR.
    """
    if model.is_dir():
        return _folder_context(model)
    context = number(read_header(model), "context_length")
    if not context:
        raise SetupError(f"'{model}' is a GGUF file, but not of a language model: it names no context length.")
    return context


def is_rounded(model: Path) -> bool:
    """Whether the library loses something of these weights: it rounds their offsets to multiples of their scales."""
    return model.is_file() and read_header(model).get("general.file_type") == _MOSTLY_Q4_1


def _folder_context(folder: Path) -> int:
    import json

    if not is_ir(folder):
        raise SetupError(
            f"The folder '{folder}' holds no OpenVINO IR (openvino_model.xml with openvino_tokenizer.xml). Make it "
            "with `optimum-cli export openvino`, or give a .gguf file."
        )
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        return int(config["max_position_embeddings"])
    except (OSError, ValueError, LookupError, TypeError):
        raise SetupError(
            f"The folder '{folder}' has no config.json that names max_position_embeddings, so the longest context is "
            "not known."
        ) from None


def is_ir(folder: Path) -> bool:
    return all((folder / f"openvino_{part}.xml").is_file() for part in ("model", "tokenizer", "detokenizer"))
