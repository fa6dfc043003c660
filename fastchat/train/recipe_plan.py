"""A recipe, on this machine → a plan."""

import difflib
import sys
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fastchat.core.errors import SetupError
from fastchat.train.machine import Machine
from fastchat.train.plan import AdapterChoice, DataChoice, JudgingChoice, ModelChoice, TrainingPlan
from fastchat.train.prerequisites import check_flags, wanted_tracker
from fastchat.train.recipe import Recipe, SftRecipe


def plan_of(
    recipe: SftRecipe, machine: Machine, environ: Mapping[str, str], kind: Any = None, **own: Any
) -> TrainingPlan:
    """`kind` is the class of the arguments, if not transformers' TrainingArguments itself, and `own` are fields of it.

    Raises:
        SetupError: the recipe asks for what this machine, or transformers, does not have.
    """
    adapter = AdapterChoice(**dict(recipe.lora)) if recipe.lora else None
    if adapter and adapter.quantize and recipe.sharding == "fsdp":
        raise SetupError(
            "lora.quantize keeps a whole base of 4 bits on each GPU, which fsdp would cut up. Leave one out."
        )
    return TrainingPlan(
        model=ModelChoice(recipe.model, recipe.trust_remote_code, recipe.attention, recipe.scaling),
        data=DataChoice(
            files=recipe.data,
            eval_files=recipe.eval_data,
            held_out=recipe.held_out,
            max_length=recipe.max_length,
            conv_template=recipe.conv_template,
            packing=recipe.packing,
        ),
        arguments=training_arguments(recipe, machine, environ, kind, **own),
        adapter=adapter,
        judging=_judging(recipe),
        batch=recipe.global_batch,
        told=recipe.model_dump(mode="json", exclude_defaults=True),
    )


def _judging(recipe: SftRecipe) -> JudgingChoice | None:
    judge = recipe.judge
    if judge is None:
        return None
    return JudgingChoice(judge.questions, judge.count, judge.max_tokens, judge.batch, judge.every)


def training_arguments(
    recipe: Recipe, machine: Machine, environ: Mapping[str, str], kind: Any = None, **own: Any
) -> Any:
    """transformers' TrainingArguments; what the recipe has under `arguments` counts more than what follows from it.

    Raises:
        SetupError: a name is unknown, or values do not go together.
    """
    from transformers import TrainingArguments

    kind = kind or TrainingArguments
    if recipe.precision == "fp16" and not machine.has_accelerator:
        raise SetupError("precision: fp16 is computed on GPUs, and there is none. bf16 and fp32 work on a CPU.")
    _check_names(recipe.arguments, {field.name for field in fields(kind)})
    values = {**_values(recipe, machine, environ), **own, **recipe.arguments}
    check_flags(values, has_accelerator=machine.has_accelerator)
    try:
        return kind(**values)
    except (ValueError, TypeError, ImportError) as error:  # what does not go together
        raise SetupError(f"transformers refuses this recipe: {error}") from None


def _values(recipe: Recipe, machine: Machine, environ: Mapping[str, str]) -> dict[str, Any]:
    measures = bool(recipe.eval_data or recipe.held_out)
    values: dict[str, Any] = {
        "output_dir": str(recipe.output),
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.max_steps or -1,
        "per_device_train_batch_size": recipe.per_device_batch,
        "per_device_eval_batch_size": recipe.per_device_batch,
        "gradient_accumulation_steps": -(-recipe.global_batch // (recipe.per_device_batch * machine.processes)),
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "bf16": recipe.precision == "bf16",
        "fp16": recipe.precision == "fp16",
        "torch_compile": recipe.compile,
        "use_liger_kernel": recipe.liger,
        "logging_steps": recipe.log_every,
        "save_steps": recipe.save_every,
        "save_total_limit": recipe.keep,
        "eval_strategy": "epoch" if measures else "no",
        "eval_on_start": measures,
        "seed": recipe.seed,
        "report_to": list(recipe.report_to) or [wanted_tracker(environ) or "none"],
        "disable_tqdm": not sys.stderr.isatty(),
        "use_cpu": not machine.has_accelerator,
    }
    is_sharded = recipe.sharding == "fsdp" and machine.has_accelerator and machine.processes > 1
    if is_sharded:
        values |= {"fsdp": True, "fsdp_config": {"activation_checkpointing": recipe.checkpoint_activations}}
    else:
        values["activation_checkpointing"] = recipe.checkpoint_activations
    return values


def _check_names(given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f" Do you mean {' or '.join(near)}?" if near else ""
            raise SetupError(f"arguments.{name}: transformers' TrainingArguments has no such field.{hint}")
