"""The model that is tuned, its tokenizer, and what both have to know before they are saved again."""

import os
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.engines.hf.errors import check_completeness, loading_errors
from fastchat.engines.hf.loading import converted
from fastchat.model import builtin
from fastchat.model.sources import resolve
from fastchat.train import adapters
from fastchat.train.attention import choose_attention
from fastchat.train.chat_format import ChatFormat
from fastchat.train.plan import TrainingPlan


def base_folder(path: str) -> Path:
    """The folder with the weights of what was named; GGUF files are converted, once.

    Raises:
        SetupError: there is no such model, or it cannot be trained.
    """
    if path in builtin.ALIASES:
        return builtin.ensure_safetensors()
    found = Path(resolve(path))
    if found.suffix == ".gguf":
        return converted(found)
    if (found / "adapter_config.json").is_file():
        raise SetupError(
            f"{path!r} is an adapter and no whole model. Give its base as the model, and the adapter as "
            "lora.begin_with (--lora_weight_path); or merge them first: fastchat weights apply-lora."
        )
    if not (found / "config.json").is_file():
        raise SetupError(f"{path!r} is no folder of a model: it has no config.json.")
    return found


def load_tokenizer(folder: Path, max_length: int, *, trust_remote_code: bool) -> Any:
    import transformers

    with loading_errors(folder):
        return transformers.AutoTokenizer.from_pretrained(
            folder, model_max_length=max_length, trust_remote_code=trust_remote_code, local_files_only=True
        )


def load_config(folder: Path, *, trust_remote_code: bool) -> Any:
    import transformers

    with loading_errors(folder):
        return transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)


def load_model(plan: TrainingPlan, folder: Path, config: Any) -> Any:
    """
    Weights that are trained are in float32, and bf16 is how they are computed with: in bfloat16 a step of 2e-5 would
    mostly be rounded away. A base that stays as it is needs no such care.

    Raises:
        SetupError: files, options and hardware do not go together.
    """
    import torch
    import transformers

    kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    half = torch.bfloat16 if plan.arguments.bf16 else torch.float16 if plan.arguments.fp16 else torch.float32
    how: dict[str, Any] = {"dtype": half if plan.adapter else torch.float32}
    if not config.is_encoder_decoder:
        how["attn_implementation"] = choose_attention(config, plan.model.attention)
    if plan.adapter and plan.adapter.quantize:
        how["quantization_config"] = adapters.rounding(plan.adapter, half)
        if torch.accelerator.is_available():
            how["device_map"] = {"": int(os.environ.get("LOCAL_RANK", 0))}
    with loading_errors(folder):
        model, found = kind.from_pretrained(
            folder,
            config=config,
            trust_remote_code=plan.model.trust_remote_code,
            local_files_only=True,
            weights_only=True,
            ignore_mismatched_sizes=True,  # reported, and refused below with names and shapes
            output_loading_info=True,
            **how,
        )
        check_completeness(folder, found)
    is_here = plan.model.path in builtin.ALIASES or Path(plan.model.path).expanduser().exists()
    # An adapter names its base by this; a name on the hub means the same on other machines.
    model.name_or_path = model.config.name_or_path = str(folder.absolute()) if is_here else plan.model.path
    for layer in model.modules():
        # Once evaluated on a CPU with AVX-512, bitsandbytes' layers compute in a way that gradients do not pass.
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    return model


def agree(model: Any, tokenizer: Any, chat_format: ChatFormat, pad_token_id: int) -> None:
    """Room for all tokens, and a generation that is told what ends an answer: what is saved is served as it is."""
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = pad_token_id
    model.config.pad_token_id = tokenizer.pad_token_id
    tokenizer.chat_template = chat_format.template
    generation = getattr(model, "generation_config", None)  # which a reward model has not
    if generation is None:
        return
    ends = [generation.eos_token_id] if isinstance(generation.eos_token_id, int) else generation.eos_token_id or []
    stops = tokenizer.convert_tokens_to_ids(list(chat_format.stop_tokens))
    generation.eos_token_id = list(dict.fromkeys([*stops, *ends])) or None
    generation.pad_token_id = tokenizer.pad_token_id
    if not generation.do_sample:  # LLaMA 2's configuration cannot be saved: it names a temperature and does not sample
        generation.temperature = generation.top_p = generation.top_k = None
