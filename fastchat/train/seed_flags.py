"""FastChat's command line of 2023 in the words of the transformers that is installed.

What has to change is found by looking at the fields that `TrainingArguments` has, never at version numbers. Arguments
go in and come out; each rewrite is one line to show to people.

    --warmup_ratio 0.03  →  --warmup_steps 0.03
    --tf32 True          →  left out: there is no GPU that computes in TF32
"""

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from fastchat.core.errors import SetupError
from fastchat.train.machine import Machine
from fastchat.train.prerequisites import wanted_tracker

_RENAMED = {
    "evaluation_strategy": "eval_strategy",
    "no_cuda": "use_cpu",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "push_to_hub_model_id": "hub_model_id",
    "push_to_hub_token": "hub_token",
}
_GONE = {
    "dispatch_batches": "--accelerator_config has it",
    "fp16_backend": "there is one way to compute in fp16",
    "fp16_opt_level": "it was for NVIDIA's apex",
    "half_precision_backend": "there is one way to compute in fp16",
    "include_tokens_per_second": "tokens are counted with --include_num_input_tokens_seen",
    "jit_mode_eval": "it was for evaluation by Intel's extension",
    "logging_dir": "trackers choose their folder themselves; TensorBoard's is TENSORBOARD_LOGGING_DIR",
    "overwrite_output_dir": "a folder with checkpoints is gone on with; remove it to begin again",
    "past_index": "it was for models that nobody trains any more",
    "ray_scope": "it was for Ray Tune",
    "save_safetensors": "weights are always written as safetensors",
    "sharded_ddp": "it was for fairscale; use --fsdp",
    "split_batches": "--accelerator_config has it",
    "torchdynamo": "--torch_compile_backend has it",
    "use_ipex": "it was for Intel's extension",
    "use_legacy_prediction_loop": "there is one loop",
    "use_mps_device": "a Mac's GPU is found without it",
}
# Options of --fsdp, and what each says in --fsdp_config.
_FSDP: Mapping[str, Mapping[str, Any]] = {
    "auto_wrap": {"auto_wrap_policy": "TRANSFORMER_BASED_WRAP"},
    "full_shard": {"reshard_after_forward": True},
    "hybrid_shard": {"reshard_after_forward": True},
    "hybrid_shard_zero2": {"reshard_after_forward": False},
    "offload": {"cpu_offload": True},
    "shard_grad_op": {"reshard_after_forward": False},
}
_FSDP_PARTS = ("fsdp_transformer_layer_cls_to_wrap", "fsdp_min_num_params")
_DDP = "on a CPU every process holds the whole model (DDP), and gradients are averaged"
_ALONE = "there is one process, so nothing to share the model with"


class Rewritten(NamedTuple):
    argv: list[str]
    notes: list[str]


def rewrite(
    argv: Sequence[str], fields: Collection[str], own: Collection[str], machine: Machine, environ: Mapping[str, str]
) -> Rewritten:
    """`fields` are the names that `TrainingArguments` has, `own` those of our dataclasses beside it.

    Raises:
        SetupError: there is a flag that neither has and that was never FastChat's, or one that means nothing.
    """
    line = _Line(read_flags(argv), frozenset(fields))
    for old, new in _RENAMED.items():
        line.rename(old, new)
    _warmup(line)
    _group_by_length(line)
    on_cpu = not machine.has_accelerator or line.says("use_cpu")
    _fsdp(line, _DDP if on_cpu else _ALONE if machine.processes == 1 else None)
    if "activation_checkpointing" in line.fields:
        line.rename("gradient_checkpointing", "activation_checkpointing", always=True)
    _precision(line, machine, on_cpu=on_cpu)
    for name, why in _GONE.items():
        if name not in line.fields:
            line.leave_out(name, why)
    _trackers(line, environ)
    if "optim" not in line.flags:
        line.add("optim", "adamw_torch", why="FastChat's optimizer")
    _check(line.flags, {*line.fields, *own, "help"})
    return Rewritten([word for name, values in line.flags.items() for word in (f"--{name}", *values)], line.notes)


@dataclass(slots=True)
class _Line:
    flags: dict[str, list[str]]
    fields: frozenset[str]
    notes: list[str] = field(default_factory=list)

    def says(self, name: str) -> bool:
        """Whether a flag is given and not false."""
        values = self.flags.get(name)
        return values is not None and (not values or values[0].lower() not in ("", "false", "no", "f", "n", "0"))

    def rename(self, old: str, new: str, *, always: bool = False) -> None:
        if old in self.flags and (always or old not in self.fields):
            self.replace(old, new, self.flags[old])

    def replace(self, old: str, new: str, values: list[str]) -> None:
        """What stands under the new name already is not touched."""
        before = _shown(old, self.flags.pop(old))
        if new in self.flags:
            self.notes.append(f"{before} left out: {_shown(new, self.flags[new])} is given too")
        else:
            self.flags[new] = values
            self.notes.append(f"{before} → {_shown(new, values)}")

    def leave_out(self, name: str, why: str) -> None:
        if name in self.flags:
            self.notes.append(f"{_shown(name, self.flags.pop(name))} left out: {why}")

    def add(self, name: str, *values: str, why: str) -> None:
        self.flags[name] = list(values)
        self.notes.append(f"{_shown(name, values)} added: {why}")


def read_flags(argv: Sequence[str]) -> dict[str, list[str]]:
    """Flags by name, as argparse would take them: `--a b`, `--a=b`, dashes for underscores; the last one counts."""
    flags: dict[str, list[str]] = {}
    values: list[str] | None = None
    for word in argv:
        if word.startswith("--") or word == "-h":
            name, has_value, value = word.removeprefix("--").partition("=")
            name = "help" if word == "-h" else name.replace("-", "_")
            flags.pop(name, None)
            values = flags[name] = [value] if has_value else []
        elif values is None:
            raise SetupError(f"{word!r} stands before any flag. Flags look like --model_name_or_path PATH.")
        else:
            values.append(word)
    return flags


def _warmup(line: _Line) -> None:
    """A number of steps below one is a share of all steps, so the ratio needs no computing."""
    if "warmup_ratio" in line.fields or "warmup_ratio" not in line.flags:
        return
    if line.flags.get("warmup_steps") in (["0"], ["0.0"]):  # the old default, under which the ratio counted
        line.leave_out("warmup_steps", "--warmup_ratio is given")
    line.rename("warmup_ratio", "warmup_steps")


def _group_by_length(line: _Line) -> None:
    if "group_by_length" in line.fields:
        return
    if line.says("group_by_length"):
        line.replace("group_by_length", "train_sampling_strategy", ["group_by_length"])
    else:
        line.leave_out("group_by_length", "it is not the default")


def _fsdp(line: _Line, why_not: str | None) -> None:
    """The options that were one string, and the flags beside it, as the JSON that FSDP2 is configured by."""
    if not line.says("fsdp"):
        why_not = "there is no --fsdp"
    if why_not is not None:
        for name in ("fsdp", *_FSDP_PARTS, "fsdp_config"):
            line.leave_out(name, why_not)
        return
    given = line.flags["fsdp"]
    options = [option for option in " ".join(given).replace(",", " ").split() if option.lower() != "true"]
    if options or any(name in line.flags for name in _FSDP_PARTS):
        before = [_shown(name, line.flags[name]) for name in ("fsdp", *_FSDP_PARTS) if name in line.flags]
        config = _json(line.flags.pop("fsdp_config", []))
        for option in options:
            if option not in _FSDP:
                raise SetupError(
                    f"--fsdp {' '.join(given)}: FSDP2 has no {option!r}. It knows {', '.join(sorted(_FSDP))}; "
                    "without --fsdp every process holds the whole model."
                )
            config.update(_FSDP[option])
        if layers := line.flags.pop(_FSDP_PARTS[0], None):
            config["transformer_layer_cls_to_wrap"] = " ".join(layers).replace(",", " ").split()
        if size := line.flags.pop(_FSDP_PARTS[1], None):
            config.update(auto_wrap_policy="SIZE_BASED_WRAP", min_num_params=_number(_FSDP_PARTS[1], size))
        line.flags["fsdp_config"] = [json.dumps(config)]
        line.notes.append(f"{' '.join(before)} → --fsdp {_shown('fsdp_config', line.flags['fsdp_config'])}")
    line.flags["fsdp"] = []
    _checkpointing_of_fsdp(line)


def _checkpointing_of_fsdp(line: _Line) -> None:
    """As an option of FSDP, activations are not gathered twice (huggingface/transformers#30404)."""
    for name in ("gradient_checkpointing", "activation_checkpointing"):
        if line.says(name):
            before = _shown(name, line.flags.pop(name))
            config = {**_json(line.flags.pop("fsdp_config", [])), "activation_checkpointing": True}
            line.flags["fsdp_config"] = [json.dumps(config)]
            line.notes.append(f"{before} → {_shown('fsdp_config', line.flags['fsdp_config'])}")


def _precision(line: _Line, machine: Machine, *, on_cpu: bool) -> None:
    if on_cpu or not machine.has_tf32:
        line.leave_out("tf32", "there is no GPU that computes in TF32")
    if on_cpu:
        line.leave_out("fp16", "there is no GPU; --bf16 True works on a CPU")
        if "use_cpu" not in line.flags and "use_cpu" in line.fields:
            line.add("use_cpu", "True", why="there is no GPU")


def _trackers(line: _Line, environ: Mapping[str, str]) -> None:
    tracker = wanted_tracker(environ)
    if "report_to" not in line.flags and tracker is not None:
        line.add("report_to", tracker, why="its variables are set")


def _check(flags: Mapping[str, Sequence[str]], known: Collection[str]) -> None:
    for name in flags:
        meant = [other for other in known if other.startswith(name)]
        if name in known or name.removeprefix("no_") in known or len(meant) == 1:
            continue
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
        hint = " or ".join(f"--{other}" for other in near)
        raise SetupError(
            f"There is no flag --{name}. " + (f"Do you mean {hint}?" if near else "--help lists those there are.")
        )


def _json(values: Sequence[str]) -> dict[str, Any]:
    """The value of --fsdp_config: JSON, or the path of a file that holds it."""
    if not values:
        return {}
    try:
        text = values[0] if values[0].lstrip().startswith("{") else Path(values[0]).read_text("utf-8")
        config = json.loads(text)
    except (OSError, ValueError) as error:
        raise SetupError(f"--fsdp_config {values[0]}: it is neither JSON nor a file that holds it ({error}).") from None
    if not isinstance(config, dict):
        raise SetupError(f"--fsdp_config {values[0]}: it has to be a JSON object.")
    return config


def _number(name: str, values: Sequence[str]) -> int:
    try:
        return int(float(values[0]))
    except ValueError:
        raise SetupError(f"--{name} {values[0]}: this is no number.") from None


def _shown(name: str, values: Sequence[str]) -> str:
    quoted = (f"'{value}'" if not value or any(sign in value for sign in ' {"') else value for value in values)
    return " ".join((f"--{name}", *quoted))
