"""The `engine_args` of the engine, and what they and the common options mean in llama.cpp's own parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fastchat.core.errors import MissingPackage, SetupError
from fastchat.engines.arguments import read_args
from fastchat.engines.cpu import default_threads
from fastchat.engines.llamacpp.gguf import ModelFile, inspect
from fastchat.engines.registry import EngineOptions

DEFAULT_SLOTS = 4
# All slots together. The cache of the built-in model takes 23 KB a token, that of an 8B model about 128 KB.
DEFAULT_TOTAL_CONTEXT = 32768
# A prompt is read in batches, and only between two of them can a request be stopped. On a CPU larger batches are no
# faster; a GPU needs them.
_CPU_BATCH, _GPU_BATCH = 64, 512


class LlamaArgs(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int | None = Field(None, ge=1, description="CPU threads. Without it one core is left for others.")
    batch: int | None = Field(None, ge=1, description="Tokens of a prompt read in one go.")
    gpu_layers: int = Field(-1, ge=-1, description="Layers on the GPU; -1: as many as fit.")
    cache_type: Literal["f16", "q8_0"] = Field("f16", description="Number format of the KV cache.")
    spare_cache_mib: int = Field(256, ge=0, description="Memory for prompts that lost their slot to another request.")
    draft_tokens: int = Field(3, ge=1, le=64, description="Tokens a draft model proposes at a time.")
    mmproj: str | None = Field(None, description="Projector file of a vision model.")
    pooling: Literal["mean", "last", "cls", "model"] = Field(
        "mean", description="How the embedding of a text is made from those of its tokens; `model`: as its file says."
    )
    embedding_tokens: int = Field(2048, ge=16, description="The longest input of an embedding.")
    verbosity: int = Field(0, ge=0, le=5, description="How much llama.cpp itself writes to stderr; 1: errors.")


def parse_args(engine_args: Mapping[str, Any]) -> LlamaArgs:
    """
    Raises:
        SetupError: a key is unknown or its value impossible.
    """
    return read_args(LlamaArgs, "llamacpp", engine_args)


def check(options: EngineOptions) -> None:
    """What can be told without the library: the options, the header of the model file, and that the others are there.

    Raises:
        SetupError: `load` would refuse this.
    """
    args = parse_args(options.engine_args)
    _context_length(options, inspect(options.model_path))
    for path in (args.mmproj, options.draft_model, *options.adapters.values()):
        if path is not None:
            _existing(path)


def import_library() -> Any:
    """
    Raises:
        SetupError: it is not installed, or was built without what constrained answers need.
    """
    try:
        import xllamacpp
    except ImportError:
        raise MissingPackage("xllamacpp", "model_worker", "The engine 'llamacpp'") from None
    if not xllamacpp.json_schema_to_grammar({}).startswith("%llguidance"):
        raise SetupError("This build of xllamacpp has no llguidance. Install the wheel from PyPI.")
    return xllamacpp


def _check_device(library: Any, device: str | None) -> None:
    """
    Raises:
        SetupError: this machine, or this build of the library, has no such device.
    """
    if device not in (None, "cpu") and not _has_gpu(library):
        raise SetupError(
            f"--device {device}: the installed build of xllamacpp sees no GPU here. Leave the flag out for the CPU, or "
            "install a build for your GPU."
        )


def generation_parameters(library: Any, options: EngineOptions, args: LlamaArgs, model: ModelFile) -> Any:
    """
    Raises:
        SetupError: the model cannot do what the options ask for.
    """
    _check_device(library, options.device)
    slots = options.slots or DEFAULT_SLOTS
    context = _context_length(options, model)
    parameters = _common(library, options, args)
    parameters.n_ctx = context * slots
    parameters.n_parallel = slots
    # llama.cpp's batch has to hold at least the next token of every slot.
    parameters.n_batch = parameters.n_ubatch = max(slots, args.batch or _default_batch(library))
    parameters.cache_ram_mib = args.spare_cache_mib
    parameters.endpoint_props = True
    # Health checks and cancelled requests must find a thread while every slot is busy.
    parameters.n_threads_http = slots + 8
    if options.chat_template is not None:
        parameters.chat_template = options.chat_template
    if args.mmproj is not None:
        parameters.mmproj.path = _existing(args.mmproj)
    parameters.lora_adapters = [
        library.CommonAdapterLoraInfo(_existing(path), 1.0) for path in options.adapters.values()
    ]
    parameters.lora_init_without_apply = True
    if options.draft_model is not None:
        _speculate(library, parameters, _existing(options.draft_model), args)
    return parameters


def _speculate(library: Any, parameters: Any, draft_model: str, args: LlamaArgs) -> None:
    """Let a small model propose tokens that the large one checks together (https://arxiv.org/abs/2211.17192)."""
    parameters.speculative.types = [library.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
    draft = parameters.speculative.draft
    draft.mparams.path = draft_model
    draft.n_max = args.draft_tokens
    draft.n_gpu_layers = parameters.n_gpu_layers
    for threads, own in ((draft.cpuparams, parameters.cpuparams), (draft.cpuparams_batch, parameters.cpuparams_batch)):
        threads.poll, threads.n_threads = own.poll, own.n_threads


def _context_length(options: EngineOptions, model: ModelFile) -> int:
    """Of each slot."""
    slots = options.slots or DEFAULT_SLOTS
    context = options.context_length or min(model.trained_context, DEFAULT_TOTAL_CONTEXT // slots)
    if context > model.trained_context:
        raise SetupError(
            f"{options.model_path!r} was trained for {model.trained_context} tokens; "
            f"a context of {context} is too long for it."
        )
    return context


def embedding_parameters(library: Any, options: EngineOptions, args: LlamaArgs, model: ModelFile) -> Any:
    """For a second server: to pool, a whole input has to fit into one batch, which is the opposite of a small batch."""
    parameters = _common(library, options, args)
    size = min(args.embedding_tokens, model.trained_context)
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = size
    parameters.n_parallel = 1
    parameters.cache_ram_mib = 0
    parameters.embedding = True
    pooling = library.llama_pooling_type
    parameters.pooling_type = {
        "mean": pooling.LLAMA_POOLING_TYPE_MEAN,
        "last": pooling.LLAMA_POOLING_TYPE_LAST,
        "cls": pooling.LLAMA_POOLING_TYPE_CLS,
        "model": pooling.LLAMA_POOLING_TYPE_UNSPECIFIED,
    }[args.pooling]
    return parameters


def _common(library: Any, options: EngineOptions, args: LlamaArgs) -> Any:
    parameters = library.CommonParams()
    parameters.model.path = options.model_path
    parameters.verbosity = args.verbosity
    parameters.ui = False
    parameters.use_jinja = True
    parameters.n_gpu_layers = 0 if options.device == "cpu" else args.gpu_layers
    parameters.cache_type_k = parameters.cache_type_v = getattr(
        library.ggml_type, f"GGML_TYPE_{args.cache_type.upper()}"
    )
    for threads in (parameters.cpuparams, parameters.cpuparams_batch):
        threads.poll = 0  # waiting threads sleep: others need the cores
        threads.n_threads = args.threads or default_threads()
    return parameters


def _default_batch(library: Any) -> int:
    return _GPU_BATCH if _has_gpu(library) else _CPU_BATCH


def _has_gpu(library: Any) -> bool:
    kinds = library.ggml_backend_dev_type
    gpus = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    return any(device["type"] in gpus for device in library.get_device_info())


def _existing(path: str) -> str:
    if not Path(path).is_file():
        raise SetupError(f"There is no file {path!r}.")
    return path
