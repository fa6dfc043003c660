"""`fastchat bench check`: answers that are programs, checked by running them in a sandbox. No judge is asked."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, Settings, setting

if TYPE_CHECKING:
    from fastchat.llm_judge.folder import BenchFolder


class CheckSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "what `fastchat bench answer` wrote", metavar="DIR", positional=True)
    models: Items = setting((), "only these (default: all who answered)", "--model", metavar="A,B")
    at_once: PositiveInt | None = setting(
        None, "programs at the same time (default: as many as there are cores)", metavar="N"
    )


async def check(settings: CheckSettings) -> int:
    from fastchat.commands.bench_results import print_report
    from fastchat.llm_judge.folder import BenchFolder

    if settings.folder is None or not settings.folder.is_dir():
        raise SetupError("Which folder? Give what --output was: fastchat bench check DIR")
    folder = BenchFolder(settings.folder)
    with folder.claimed():
        await check_folder(folder, settings.models or folder.models, settings.at_once)
    print_report(settings.folder)
    return 0


async def check_folder(folder: "BenchFolder", models: Sequence[str], at_once: int | None = None) -> None:
    from fastchat.llm_judge.suites.checking import check_answers

    await check_answers(folder, models, _bar, at_once=at_once or os.cpu_count() or 1)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[bool], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("checks"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[passed]} passed"))
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task("checks", total=total, passed=0)
        passed = 0

        def tell(has_passed: bool) -> None:
            nonlocal passed
            passed += has_passed
            bars.update(bar, advance=1, passed=passed)

        yield tell
