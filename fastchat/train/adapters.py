"""LoRA, DoRA and QLoRA by PEFT: a small adapter is trained, its base stays as it is."""

import warnings
from pathlib import Path
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.engines.hf.settings import check_adapter
from fastchat.train.plan import AdapterChoice


def rounding(choice: AdapterChoice, dtype: Any) -> Any:
    """How transformers loads the base in 4 bits (QLoRA, arXiv 2305.14314); `dtype` is the one it computes in."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=choice.quantize,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def attach(
    model: Any, choice: AdapterChoice, *, is_seq2seq: bool, checkpoints_activations: bool, is_scorer: bool = False
) -> Any:
    """The model with an adapter, whose weights alone are trained; or with the biases, where they were asked for. Of a
    scorer, the head is trained and saved with it.

    Raises:
        SetupError: the model has no layers of these names, or the adapter to begin with does not fit.
    """
    import peft

    task = "SEQ_CLS" if is_scorer else "SEQ_2_SEQ_LM" if is_seq2seq else "CAUSAL_LM"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers by names that will change
        if choice.quantize:
            model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpoints_activations)
        adapted = _continued(model, choice.begin_with) if choice.begin_with else _adapted(model, choice, task)
    if checkpoints_activations:
        adapted.enable_input_require_grads()  # without it nothing behind a checkpoint has a gradient
    return adapted


def _continued(model: Any, folder: str) -> Any:
    import peft

    check_adapter(folder, Path(folder))
    return peft.PeftModel.from_pretrained(model, folder, is_trainable=True)


def _adapted(model: Any, choice: AdapterChoice, task: str) -> Any:
    import peft

    config = peft.LoraConfig(
        r=choice.rank,
        lora_alpha=choice.alpha,
        lora_dropout=choice.dropout,
        target_modules=choice.targets if isinstance(choice.targets, str) else list(choice.targets),
        bias=choice.bias,
        use_dora=choice.dora,
        task_type=task,
        modules_to_save=["score"] if task == "SEQ_CLS" else None,
    )
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        if "target modules" not in str(error).lower():
            raise
        raise SetupError(
            f"The model has no layers {', '.join(choice.targets)}. It has {', '.join(_linear_layers(model))}."
        ) from None


def _linear_layers(model: Any) -> list[str]:
    import torch

    names = {name.rpartition(".")[2] for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
    return sorted(names)
