"""Write docs/commands.md from the commands' own help texts."""

import contextlib
import io
import os
import re
from pathlib import Path

from fastchat.__main__ import COMMANDS, Command, run_command

TARGET = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """# Commands

Every command of `fastchat`, as it describes itself. This page is generated (`make docs`); a test keeps it true.

Flags can also be set in the environment: `FASTCHAT_API_PORT=9000 fastchat api` is `fastchat api --port 9000`, likewise
`FASTCHAT_CONTROLLER_…` and `FASTCHAT_WORKER_…`. Any unambiguous beginning of a flag will do.

FastChat's old names work. Most are the new command under another name; behind those that are said to be FastChat's are
flags, files and printouts as FastChat had them.

| old | new |
|---|---|
| `python3 -m fastchat.serve.controller` | `fastchat controller` |
| `python3 -m fastchat.serve.model_worker`, `multi_model_worker` | `fastchat worker` |
| `python3 -m fastchat.serve.vllm_worker` | `fastchat vllm` |
| `python3 -m fastchat.serve.sglang_worker` | `fastchat sglang` |
| `python3 -m fastchat.serve.mlx_worker` | `fastchat mlx` |
| `python3 -m fastchat.serve.lightllm_worker` | `fastchat lightllm` |
| `python3 -m fastchat.serve.openai_api_server` | `fastchat api` |
| `python3 -m fastchat.serve.gradio_web_server` | `fastchat web` |
| `python3 -m fastchat.serve.gradio_web_server_multi` | `fastchat arena serve`, that is `fastchat web --arena` |
| `python3 -m fastchat.serve.register_worker` | `fastchat register` |
| `python3 -m fastchat.serve.test_message` | `fastchat message` |
| `python3 -m fastchat.serve.shutdown_serve` | `fastchat shutdown` |
| `python3 -m fastchat.serve.cli` | `fastchat chat` |
| `python3 -m fastchat.serve.huggingface_api` | `fastchat answer` |
| `python3 -m fastchat.model.apply_delta`, `make_delta` | `fastchat weights apply-delta`, `make-delta` |
| `python3 -m fastchat.model.apply_lora` | `fastchat weights apply-lora` |
| `python3 -m fastchat.model.convert_fp16` | `fastchat weights convert-fp16` |
| `python3 -m fastchat.serve.monitor.clean_battle_data` | `fastchat votes clean` |
| `python3 -m fastchat.serve.monitor.basic_stats` | `fastchat votes stats` |
| `python3 -m fastchat.serve.monitor.inspect_conv` | `fastchat votes inspect` |
| `python3 -m fastchat.serve.monitor.elo_analysis` | FastChat's; computed by `fastchat leaderboard build` |
| `python3 -m fastchat.serve.monitor.leaderboard_csv_to_html` | FastChat's; of a board: `leaderboard site` |
| `python3 -m fastchat.serve.monitor.monitor` | `fastchat monitor` |
| `python3 -m fastchat.serve.monitor.topic_clustering` | `fastchat topics cluster` |
| `python3 -m fastchat.serve.monitor.summarize_cluster` | `fastchat topics summarize` |
| `python3 -m fastchat.llm_judge.gen_model_answer` | `fastchat bench answer --bench-name mt_bench` |
| `python3 -m fastchat.llm_judge.gen_api_answer` | the same, of `gpt-3.5-turbo` if not told |
| `python3 -m fastchat.llm_judge.gen_judgment` | `fastchat bench judge`, by `gpt-4` if not told |
| `python3 -m fastchat.llm_judge.show_result` | FastChat's; of a folder: `fastchat bench show` |
| `python3 -m fastchat.llm_judge.compute_agreement` | FastChat's; also `fastchat bench show --votes` |
| `python3 -m fastchat.llm_judge.qa_browser` | `fastchat bench browse` |
| `python3 -m fastchat.llm_judge.download_mt_bench_pregenerated` | likewise |
| `python3 -m fastchat.llm_judge.clean_judgment` | FastChat's; `fastchat bench` does not need it |
| `python3 -m fastchat.train.train`, `train_mem`, `train_xformers` | FastChat's; by a recipe: `fastchat train sft` |
| `python3 -m fastchat.train.train_with_template`, `train_baichuan`, `train_flant5` | likewise |
| `python3 -m fastchat.train.train_lora`, `train_lora_t5` | FastChat's; by a recipe: `fastchat train lora` |
| `python3 -m fastchat.data.clean_sharegpt`, `optional_clean` | FastChat's; all rules: `fastchat data clean` |
| `python3 -m fastchat.data.filter_wrong_format` | likewise |
| `python3 -m fastchat.data.split_long_conversation` | FastChat's; `fastchat data split` |
| `python3 -m fastchat.data.split_train_test`, `sample`, `merge` | FastChat's; `data hold-out`, `sample`, `merge` |
| `python3 -m fastchat.data.get_stats`, `inspect_data` | FastChat's; `fastchat data stats`, `inspect` |
| `python3 -m fastchat.data.hardcoded_questions` | FastChat's; `fastchat data identity` |
| `python3 -m fastchat.data.convert_alpaca` | FastChat's; `fastchat data convert` |
| `python3 -m fastchat.data.extract_gpt4_only`, `extract_single_round` | FastChat's |
| `python3 -m fastchat.data.optional_replace`, `pretty_json`, `prepare_all` | FastChat's |
"""


# Where a command has actions, argparse lists them indented below the placeholder for one.
ACTIONS = re.compile(r"^  (?:ACTION|\{.*\})\n((?:    .*\n?)+)", re.MULTILINE)
ACTION = re.compile(r"^    (\S+)", re.MULTILINE)

ELSEWHERE = {("arena", "serve")}  # the same flags as of another command


def help_text(command: Command, *action: str) -> str:
    """What `--help` prints, at a width that does not depend on the terminal."""
    os.environ["COLUMNS"] = "100"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        run_command(command.module, [*command.arguments, *action, "--help"])
    return printed.getvalue().rstrip()


def actions_of(text: str) -> list[str]:
    listed = ACTIONS.search(text)
    return ACTION.findall(listed[1]) if listed else []


def render() -> str:
    sections = []
    for name, command in COMMANDS.items():
        text = help_text(command)
        sections.append(f"\n## fastchat {name}\n\n```\n{text}\n```\n")
        for action in actions_of(text):
            if (name, action) not in ELSEWHERE:
                sections.append(f"\n### fastchat {name} {action}\n\n```\n{help_text(command, action)}\n```\n")
    return HEAD + "".join(sections)


if __name__ == "__main__":
    TARGET.write_text(render())
