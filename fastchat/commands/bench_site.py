"""`fastchat bench export` and `browse`: a folder's results, answers and verdicts as pages to read, and to grade on.

As before `python3 -m fastchat.llm_judge.qa_browser`, whose flags `browse` understands.
"""

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Settings, setting

if TYPE_CHECKING:
    from fastchat.llm_judge.site.grading import Grading


class ExportSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "what `fastchat bench run` wrote", metavar="DIR", positional=True)
    output: Path | None = setting(None, "folder of the pages", "--site", metavar="FOLDER")


class BrowseSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "what `fastchat bench run` wrote", metavar="DIR", positional=True)
    bench_name: str | None = setting(None, "FastChat's flag: the folder data/NAME")
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(7860, "port to listen on; 0 takes a free one")
    grade: bool = setting(False, "let a person grade there, in place of a judge")
    grader: str | None = setting(None, "who grades; the grades stand in model_judgment/NAME_…", "--as", metavar="NAME")
    mode: Literal["single", "pairwise-baseline", "pairwise-all"] = setting(
        "single", "grade each answer, compare each with the baseline's, or all with one another"
    )
    baseline: str | None = setting(None, "whom to compare with", metavar="MODEL")
    blind: bool = setting(False, "with --grade: without the names of models, and without the other pages")

    withdrawn: ClassVar = {
        "--share": "there is no public link here. Write the page with `fastchat bench export` and put it where others "
        "can read it."
    }


async def export(settings: ExportSettings) -> int:
    if settings.folder is None or settings.output is None:
        raise SetupError("Which folder, and where to? fastchat bench export DIR --output FOLDER")
    _write_site(settings.folder, settings.output)
    return 0


def open_site(folder: Path) -> None:
    """Write the pages into the folder, and have the user's browser show them, if there is one."""
    index = _write_site(folder, folder / "site")
    if not webbrowser.open(index.resolve().as_uri()):
        print("No browser was found here to open it.", file=sys.stderr)


def _write_site(folder: Path, target: Path) -> Path:
    from fastchat.llm_judge.site.pages import INDEX, write_site
    from fastchat.llm_judge.site.reading import read_bench

    count = write_site(read_bench(folder), target)
    print(f"{target / INDEX}: written, {count} pages with those of the questions")
    return target / INDEX


async def browse(settings: BrowseSettings) -> int:
    folder = settings.folder or (Path("data", settings.bench_name) if settings.bench_name else None)
    if folder is None:
        raise SetupError("Which folder? fastchat bench browse DIR")
    from fastchat.core.serving import LOOPBACK_HOSTS, Listener, serve
    from fastchat.llm_judge.site.app import OwnHosts, bench_app
    from fastchat.llm_judge.site.current import CurrentSite

    grading = _grading(settings, folder)
    site = None if settings.blind else CurrentSite(folder, can_grade=grading is not None).site
    listener = Listener(settings.host, settings.port)

    def tell() -> None:
        print(f"{folder} is at {listener.url}/, until Ctrl-C.", flush=True)
        if grading:
            print(f"{grading.name} grades at {listener.url}/grade/next", flush=True)
        if grading and settings.host not in LOOPBACK_HOSTS:
            print(f"Whoever reaches {settings.host} can grade as {grading.name}.", flush=True)

    try:
        await serve(OwnHosts(bench_app(site, grading), settings.host), listener, role="bench", drain_s=1, on_ready=tell)
    finally:
        if grading:
            grading.settle()
    return 0


def _grading(settings: BrowseSettings, folder: Path) -> "Grading | None":
    if not settings.grade:
        idle = [flag for flag, value in {"--as": settings.grader, "--blind": settings.blind}.items() if value]
        if idle:
            raise SetupError(f"{', '.join(idle)}: only for grading. Add --grade.")
        return None
    if not settings.grader:
        raise SetupError("Who grades? fastchat bench browse DIR --grade --as NAME")
    from fastchat.llm_judge.matches import Mode
    from fastchat.llm_judge.site.grading import Grading

    return Grading(folder, settings.grader, Mode(settings.mode), baseline=settings.baseline, is_blind=settings.blind)
