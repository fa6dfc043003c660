"""`fastchat bench show` and `combine`: what the judgments of a folder say, and one judge made of several."""

import sys
from pathlib import Path
from typing import Literal

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.outputs import write_output
from fastchat.core.settings import Items, Settings, setting


class ShowSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "what `fastchat bench run` wrote", metavar="DIR", positional=True)
    format: Literal["text", "json", "csv", "markdown"] = setting("text", "how")
    is_json: bool = setting(False, "the same as --format json", "--json")
    votes: str | None = setting(
        None,
        "votes of people, to agree with and to calibrate by: a file, an arena's export, logs, or its database",
        metavar="FILE|URL",
    )
    arena: str = setting("default", "the arena of that database whose votes are taken", metavar="NAME")
    plots: Path | None = setting(None, "write plots too, as a page that stands alone", metavar="FILE.html")
    baseline: str | None = setting(None, "count wins against this model only", metavar="MODEL")


class CombineSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "with judgments of several judges", metavar="DIR", positional=True)
    how: Literal["mean", "majority", "dawid-skene"] = setting(
        "mean", "mean of scores; of pairs the majority, or what Dawid and Skene infer"
    )
    judges: Items = setting((), "whose (default: all)")


async def show(settings: ShowSettings) -> int:
    if settings.folder is None:
        raise SetupError("Which folder? Give what --output was: fastchat bench show DIR")
    from fastchat.commands.bench_votes import People, read_people
    from fastchat.llm_judge import results
    from fastchat.llm_judge.results.rendering import csv_text, markdown, text
    from fastchat.llm_judge.results.tables import tables

    people = await read_people(settings.votes, settings.arena) if settings.votes else People()
    report = results.show(settings.folder, people.files, settings.baseline, people.battles)
    if settings.plots:
        from fastchat.llm_judge.site.plots import plots_page

        write_output(settings.plots, plots_page(report).encode("utf-8", "replace"))
        print(f"{settings.plots}: written", file=sys.stderr)
    written = {
        "text": lambda: text(tables(report)),
        "json": lambda: report.json() + "\n",
        "csv": lambda: csv_text(report),
        "markdown": lambda: markdown(report),
    }
    print(written["json" if settings.is_json else settings.format](), end="")
    return 0


def print_report(folder: Path) -> None:
    from fastchat.llm_judge import results
    from fastchat.llm_judge.results.rendering import text
    from fastchat.llm_judge.results.tables import tables

    print(text(tables(results.show(folder))), end="")


async def combine(settings: CombineSettings) -> int:
    if settings.folder is None:
        raise SetupError("Which folder? fastchat bench combine DIR")
    from fastchat.llm_judge.combining import combine

    file, count = combine(settings.folder, settings.how, settings.judges)
    print(f"{file}: {count} verdicts")
    return 0
