"""`fastchat bench show` and `combine`: what the judgments of a folder say, and one judge made of several."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Items, Settings, setting


class ShowSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "what `fastchat bench run` wrote", metavar="DIR", positional=True)
    format: Literal["text", "json", "csv", "markdown"] = setting("text", "how")
    is_json: bool = setting(False, "the same as --format json", "--json")
    votes: Path | None = setting(None, "votes of people, to agree with and to calibrate by", metavar="FILE")
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
    votes = [settings.votes] if settings.votes else []
    form = "json" if settings.is_json else settings.format
    if form == "text":
        print_report(settings.folder, votes, settings.baseline)
        return 0
    from fastchat.llm_judge import results
    from fastchat.llm_judge.results.rendering import csv_text, markdown

    report = results.show(settings.folder, votes, settings.baseline)
    written = {
        "json": lambda: report.json() + "\n",
        "csv": lambda: csv_text(report),
        "markdown": lambda: markdown(report),
    }
    print(written[form](), end="")
    return 0


def print_report(folder: Path, votes: Sequence[Path] = (), baseline: str | None = None) -> None:
    from fastchat.llm_judge import results
    from fastchat.llm_judge.results.rendering import text
    from fastchat.llm_judge.results.tables import tables

    print(text(tables(results.show(folder, votes, baseline))), end="")


async def combine(settings: CombineSettings) -> int:
    if settings.folder is None:
        raise SetupError("Which folder? fastchat bench combine DIR")
    from fastchat.llm_judge.combining import combine

    file, count = combine(settings.folder, settings.how, settings.judges)
    print(f"{file}: {count} verdicts")
    return 0
