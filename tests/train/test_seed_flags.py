"""Every row of the map from FastChat's flags of 2023 to those of transformers."""

import json
import shlex
from pathlib import Path

import pytest

from fastchat.core.errors import SetupError
from fastchat.train.machine import Machine
from fastchat.train.seed_flags import Rewritten, rewrite

# Some of what TrainingArguments has, in an old version and in the present one.
COMMON = {"output_dir", "bf16", "fp16", "tf32", "fsdp", "fsdp_config", "warmup_steps", "report_to", "optim"}
COMMON |= {"deepspeed", "learning_rate", "num_train_epochs", "gradient_checkpointing", "hub_token"}
NOW = COMMON | {"eval_strategy", "use_cpu", "train_sampling_strategy", "activation_checkpointing"}
THEN = COMMON | {"evaluation_strategy", "no_cuda", "group_by_length", "warmup_ratio", "logging_dir"}
OWN = {"model_name_or_path", "data_path", "model_max_length", "q_lora"}

GPUS = Machine(has_accelerator=True, has_tf32=True, processes=4)
CPU = Machine(has_accelerator=False, has_tf32=False, processes=2)

SEED = shlex.split("""
--model_name_or_path llama-7b --data_path dummy.json --bf16 True --output_dir output --num_train_epochs 3
--evaluation_strategy no --learning_rate 2e-5 --warmup_ratio 0.03 --fsdp "full_shard auto_wrap"
--fsdp_transformer_layer_cls_to_wrap 'LlamaDecoderLayer' --tf32 True --model_max_length 2048
--gradient_checkpointing True
""")


def rewritten(
    *words: str, machine: Machine = GPUS, fields: set[str] = NOW, environ: dict[str, str] | None = None
) -> Rewritten:
    return rewrite(words, fields, OWN, machine, environ or {})


def flags(*words: str, machine: Machine = GPUS, fields: set[str] = NOW) -> list[str]:
    """What became of them, without the optimizer that is always added."""
    argv = rewritten(*words, "--optim", "adamw_torch", machine=machine, fields=fields).argv
    at = argv.index("--optim")
    return argv[:at] + argv[at + 2 :]


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("--evaluation_strategy no", "--eval_strategy no"),
        ("--evaluation-strategy=steps", "--eval_strategy steps"),
        ("--warmup_ratio 0.03", "--warmup_steps 0.03"),
        ("--warmup_ratio 0.03 --warmup_steps 10", "--warmup_steps 10"),
        ("--warmup_ratio 0.03 --warmup_steps 0", "--warmup_steps 0.03"),
        ("--group_by_length True", "--train_sampling_strategy group_by_length"),
        ("--group_by_length False", ""),
        ("--no_cuda True", "--use_cpu True"),
        ("--gradient_checkpointing True", "--activation_checkpointing True"),
        ("--tf32 True", "--tf32 True"),
        ("--bf16 True", "--bf16 True"),
        ("--push_to_hub_token x", "--hub_token x"),
        ("--overwrite_output_dir", ""),
        ("--logging_dir logs", ""),
        ("--save_safetensors True", ""),
        ("--half_precision_backend auto", ""),
        ("--deepspeed zero3.json", "--deepspeed zero3.json"),
        ("--fsdp --fsdp_config fsdp.json", "--fsdp --fsdp_config fsdp.json"),
        ("--fsdp True", "--fsdp"),
        ("--fsdp False --fsdp_min_num_params 100", ""),
        ("--fsdp_transformer_layer_cls_to_wrap LlamaDecoderLayer", ""),
        ("--learning_rate 1 --learning_rate 2", "--learning_rate 2"),
        ("--learning 1", "--learning 1"),  # argparse knows beginnings
    ],
)
def test_a_flag_of_then_is_one_of_now(given: str, becomes: str) -> None:
    assert flags(*given.split()) == becomes.split()


@pytest.mark.parametrize(
    "given", ["--evaluation_strategy no", "--warmup_ratio 0.03", "--group_by_length True", "--logging_dir logs"]
)
def test_what_transformers_still_has_is_left_alone(given: str) -> None:
    assert flags(*given.split(), fields=THEN) == given.split()


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ("--fsdp|full_shard auto_wrap", {"reshard_after_forward": True, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}),
        ("--fsdp|full_shard|auto_wrap|offload", {"reshard_after_forward": True, "cpu_offload": True}),
        ("--fsdp|shard_grad_op", {"reshard_after_forward": False}),
        (
            "--fsdp|full_shard auto_wrap|--fsdp_transformer_layer_cls_to_wrap|LlamaDecoderLayer",
            {"transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"], "auto_wrap_policy": "TRANSFORMER_BASED_WRAP"},
        ),
        (
            "--fsdp|full_shard auto_wrap|--fsdp_min_num_params|1e8",
            {"auto_wrap_policy": "SIZE_BASED_WRAP", "min_num_params": 100_000_000},
        ),
        (
            '--fsdp|full_shard|--fsdp_config|{"state_dict_type": "SHARDED_STATE_DICT"}',
            {"state_dict_type": "SHARDED_STATE_DICT", "reshard_after_forward": True},
        ),
        ("--fsdp|full_shard|--gradient_checkpointing|True", {"activation_checkpointing": True}),
    ],
)
def test_options_of_fsdp_become_its_configuration(given: str, config: dict[str, object]) -> None:
    argv = flags(*given.split("|"))
    assert argv[argv.index("--fsdp") + 1 :][:1] in ([], ["--fsdp_config"])  # a value behind --fsdp is refused
    found = json.loads(argv[argv.index("--fsdp_config") + 1])
    assert found.items() >= config.items()
    assert "--activation_checkpointing" not in argv
    assert "--gradient_checkpointing" not in argv


def test_the_file_of_fsdps_configuration_is_read_where_flags_add_to_it(tmp_path: Path) -> None:
    file = tmp_path / "fsdp.json"
    file.write_text('{"cpu_offload": true}')
    argv = flags("--fsdp", "full_shard", "--fsdp_config", str(file))
    assert json.loads(argv[argv.index("--fsdp_config") + 1]) == {"cpu_offload": True, "reshard_after_forward": True}


@pytest.mark.parametrize("given", ["--tf32 True", "--fp16 True", "--fsdp full_shard --fsdp_min_num_params 1"])
def test_what_needs_a_gpu_is_left_out_without_one(given: str) -> None:
    result = rewritten(*given.split(), machine=CPU)
    assert result.argv == ["--use_cpu", "True", "--optim", "adamw_torch"]
    assert all(f"{flag} " in "\n".join(result.notes) for flag in given.split() if flag.startswith("--"))


def test_bf16_works_on_a_cpu_that_is_asked_for() -> None:
    assert flags("--bf16", "True", machine=CPU) == ["--bf16", "True", "--use_cpu", "True"]


def test_one_process_has_nothing_to_share_a_model_with() -> None:
    assert flags("--fsdp", "full_shard", machine=GPUS._replace(processes=1)) == []


def test_fastchats_optimizer_stays_the_default() -> None:
    assert rewritten().argv == ["--optim", "adamw_torch"]
    assert rewritten("--optim", "sgd").argv == ["--optim", "sgd"]


@pytest.mark.parametrize(
    ("environ", "words", "reports"),
    [
        ({"WANDB_API_KEY": "key"}, (), ["wandb"]),
        ({"WANDB_MODE": "offline"}, (), ["wandb"]),
        ({"WANDB_MODE": "disabled", "WANDB_API_KEY": "key"}, (), []),
        ({"WANDB_API_KEY": "key"}, ("--report_to", "none"), ["none"]),
        ({}, (), []),
    ],
)
def test_wandb_is_reported_to_where_its_variables_say_so(
    environ: dict[str, str], words: tuple[str, ...], reports: list[str]
) -> None:
    argv = rewritten(*words, environ=environ).argv
    assert (argv[argv.index("--report_to") + 1 :][:1] if "--report_to" in argv else []) == reports


def test_each_rewrite_of_the_seeds_line_is_one_line_to_read() -> None:
    result = rewritten(*SEED)
    assert result.notes == [
        "--evaluation_strategy no → --eval_strategy no",
        "--warmup_ratio 0.03 → --warmup_steps 0.03",
        "--fsdp 'full_shard auto_wrap' --fsdp_transformer_layer_cls_to_wrap LlamaDecoderLayer → --fsdp --fsdp_config "
        """'{"reshard_after_forward": true, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP", """
        """"transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"]}'""",
        """--gradient_checkpointing True → --fsdp_config '{"reshard_after_forward": true, """
        """"auto_wrap_policy": "TRANSFORMER_BASED_WRAP", "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"], """
        """"activation_checkpointing": true}'""",
        "--optim adamw_torch added: FastChat's optimizer",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--learning_rte 1", "There is no flag --learning_rte. Do you mean --learning_rate"),
        ("--zzz", "There is no flag --zzz. --help lists"),
        ("llama-7b --bf16 True", "'llama-7b' stands before any flag"),
        ("--fsdp no_shard", "FSDP2 has no 'no_shard'"),
        ("--fsdp full_shard --fsdp_config nowhere.json", "neither JSON nor a file"),
        ("--fsdp full_shard --fsdp_min_num_params many", "--fsdp_min_num_params many: this is no number"),
    ],
)
def test_what_cannot_be_meant_is_said(words: str, says: str) -> None:
    with pytest.raises(SetupError, match="(?s)" + says.replace(".", r"\.")):
        rewritten(*words.split())


def test_the_seeds_line_parses_on_the_transformers_that_is_installed(tmp_path: Path) -> None:
    from fastchat.train.seed_parsing import parse

    line = [*SEED, "--output_dir", str(tmp_path)]
    parsed = parse("train_mem", line, CPU, {})
    assert parsed.arguments.learning_rate == 2e-5
    assert (parsed.arguments.warmup_steps, parsed.arguments.eval_strategy) == (0.03, "no")
    assert (parsed.arguments.bf16, parsed.arguments.use_cpu, parsed.arguments.optim) == (True, True, "adamw_torch")
    assert parsed.arguments.activation_checkpointing
    assert parsed.data.model_max_length == 2048
