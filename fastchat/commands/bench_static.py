"""`fastchat bench static`: benchmarks of fixed questions, through lm-eval, asked of a model."""

from pathlib import Path

from pydantic import NonNegativeInt, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, setting
from fastchat.llm_judge.settings import ReachSettings


class StaticSettings(ReachSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    tasks: Items = setting((), "names of lm-eval's tasks or groups: hellaswag,mmlu,gsm8k,…", "--task", metavar="A,B")
    models: Items = setting(
        (),
        "who is asked: served, or loaded here by path (default: all that are served, else the built-in model)",
        "--model",
        metavar="A,B",
    )
    output: Path | None = setting(None, "folder for the results", metavar="DIR")
    limit: PositiveInt | None = setting(None, "only so many questions of each task, to try it", metavar="N")
    num_fewshot: NonNegativeInt | None = setting(
        None, "examples before each question (default: as the task has it)", metavar="N"
    )
    include_path: Path | None = setting(None, "folder of tasks of your own, in lm-eval's YAML", metavar="FOLDER")


async def static(settings: StaticSettings) -> int:
    from fastchat.commands.bench_progress import ProgressBars
    from fastchat.commands.bench_results import print_report
    from fastchat.llm_judge.static.records import Plan
    from fastchat.llm_judge.static.session import run_tasks

    if not settings.tasks:
        raise SetupError("--tasks is missing: which benchmarks? For example --tasks hellaswag,arc_easy")
    if settings.output is None:
        raise SetupError("--output is missing: which folder shall hold the results?")
    if settings.include_path is not None and not settings.include_path.is_dir():
        raise SetupError(f"--include-path {settings.include_path}: there is no such folder.")
    plan = Plan(settings.num_fewshot, settings.limit, settings.include_path)
    written: list[Path] = []
    await run_tasks(settings, settings.output, settings.models, settings.tasks, plan, ProgressBars(), written.append)
    for file in written:
        print(f"{file}: written")
    print_report(settings.output)
    return 0
