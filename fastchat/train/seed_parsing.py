"""The command lines of FastChat's training scripts → plans. Each script is a row: its flags, its format."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from fastchat.core.errors import SetupError
from fastchat.train import seed_arguments as flags
from fastchat.train.machine import Machine
from fastchat.train.plan import AdapterChoice, DataChoice, ModelChoice, TrainingPlan
from fastchat.train.prerequisites import check_flags
from fastchat.train.seed_flags import rewrite


class Script(NamedTuple):
    data: type[flags.DataArguments]
    adapter: type[flags.LoraArguments] | None = None
    conv_template: str | None = None  # None: what the model ships or its name calls for


SCRIPTS: Mapping[str, Script] = {
    "train": Script(flags.DataArguments, conv_template="vicuna_v1.1"),
    "train_mem": Script(flags.DataArguments, conv_template="vicuna_v1.1"),
    "train_xformers": Script(flags.DataArguments, conv_template="vicuna_v1.1"),
    "train_lora": Script(flags.DataArguments, flags.LoraArguments, conv_template="vicuna_v1.1"),
    "train_with_template": Script(flags.DataArguments),
    "train_baichuan": Script(flags.DataArguments, conv_template="vicuna_v1.1"),
    "train_flant5": Script(flags.T5DataArguments, conv_template="fastchat-t5"),
    "train_lora_t5": Script(flags.T5DataArguments, flags.T5LoraArguments, conv_template="fastchat-t5"),
}


class Parsed(NamedTuple):
    model: flags.ModelArguments
    data: flags.DataArguments
    arguments: Any  # transformers' TrainingArguments
    adapter: flags.LoraArguments | None
    notes: list[str]  # what was rewritten


def parse(name: str, argv: Sequence[str], machine: Machine, environ: Mapping[str, str]) -> Parsed:
    """
    Raises:
        SetupError: a flag is unknown or its value impossible, or it needs what is not installed.
    """
    from transformers import HfArgumentParser, TrainingArguments

    script = SCRIPTS[name]
    own: list[type] = [flags.ModelArguments, script.data, *([script.adapter] if script.adapter else [])]
    known = [field.name for field in fields(TrainingArguments)]
    rewritten = rewrite(argv, known, flags.names_of(own), machine, environ)
    usage = "%(prog)s --model_name_or_path MODEL --data_path FILE --output_dir FOLDER [FLAG VALUE …]"
    parser = HfArgumentParser((*own, TrainingArguments), prog=f"fastchat.train.{name}", usage=usage)
    given = vars(parser.parse_args(rewritten.argv))
    check_flags(given, has_accelerator=machine.has_accelerator)
    try:
        made = parser.parse_args_into_dataclasses(rewritten.argv, look_for_args_file=False)
    except (ValueError, ImportError) as error:  # of TrainingArguments, about what does not go together
        raise SetupError(f"transformers refuses these flags: {error}") from None
    return Parsed(made[0], made[1], made[-1], made[2] if script.adapter else None, rewritten.notes)


def plan_of(name: str, parsed: Parsed, argv: Sequence[str]) -> TrainingPlan:
    """
    Raises:
        SetupError: there is no file to train on, or the flags contradict one another.
    """
    data = parsed.data
    if not data.data_path:
        raise SetupError("--data_path is missing: a file of conversations (ShareGPT, Alpaca, OpenAI messages, …).")
    adapter = _adapter(parsed.adapter) if parsed.adapter else None
    if adapter and adapter.quantize and (parsed.arguments.fsdp or _is_zero3(parsed.arguments)):
        raise SetupError(
            "--q_lora keeps a whole base of 4 bits on each GPU; FSDP and ZeRO-3 would cut it up. Leave one of them out."
        )
    return TrainingPlan(
        model=ModelChoice(
            parsed.model.model_name_or_path,
            trust_remote_code=parsed.model.trust_remote_code,
            attention="flash_attention_2" if parsed.model.flash_attn else None,
        ),
        data=DataChoice(
            files=[Path(data.data_path)],
            eval_files=[Path(data.eval_data_path)] if data.eval_data_path else [],
            held_out=data.held_out,
            max_length=data.model_max_length,
            conv_template=data.conv_template or SCRIPTS[name].conv_template,
            packing=data.packing,
            most=data.num_data if isinstance(data, flags.T5DataArguments) and data.num_data >= 0 else None,
        ),
        arguments=parsed.arguments,
        adapter=adapter,
        told={"script": name, "flags": list(argv)},
    )


def _adapter(given: flags.LoraArguments) -> AdapterChoice:
    return AdapterChoice(
        rank=given.lora_r,
        alpha=given.lora_alpha,
        dropout=given.lora_dropout,
        targets=tuple(given.lora_target_modules),
        bias=given.lora_bias,
        quantize="nf4" if given.q_lora else None,
        begin_with=given.lora_weight_path or None,
    )


def _is_zero3(arguments: Any) -> bool:
    from transformers.integrations import is_deepspeed_zero3_enabled

    return bool(arguments.deepspeed) and bool(is_deepspeed_zero3_enabled())
