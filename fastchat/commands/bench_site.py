"""`fastchat bench export` and `browse`: a folder's results, answers and verdicts as pages to read.

As before `python3 -m fastchat.llm_judge.qa_browser`, whose flags `browse` understands.
"""

import asyncio
from pathlib import Path
from typing import ClassVar

from pydantic_settings import SettingsConfigDict

from fastchat.core.errors import SetupError
from fastchat.core.settings import Settings, setting


class ExportSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "what `fastchat bench run` wrote", metavar="DIR", positional=True)
    output: Path | None = setting(None, "folder of the pages", metavar="FOLDER")


class BrowseSettings(Settings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_BENCH_")

    folder: Path | None = setting(None, "what `fastchat bench run` wrote", metavar="DIR", positional=True)
    bench_name: str | None = setting(None, "FastChat's flag: the folder data/NAME")
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(7860, "port to listen on; 0 takes a free one")

    withdrawn: ClassVar = {
        "--share": "there is no public link here. Write the page with `fastchat bench export` and put it where others "
        "can read it."
    }


async def export(settings: ExportSettings) -> int:
    if settings.folder is None or settings.output is None:
        raise SetupError("Which folder, and where to? fastchat bench export DIR --output FOLDER")
    from fastchat.llm_judge.site.pages import INDEX, write_site
    from fastchat.llm_judge.site.reading import read_bench

    count = write_site(read_bench(settings.folder), settings.output)
    print(f"{settings.output / INDEX}: written, {count} pages with those of the questions")
    return 0


async def browse(settings: BrowseSettings) -> int:
    folder = settings.folder or (Path("data", settings.bench_name) if settings.bench_name else None)
    if folder is None:
        raise SetupError("Which folder? fastchat bench browse DIR")
    from fastchat.llm_judge.site.pages import Site
    from fastchat.llm_judge.site.reading import read_bench
    from fastchat.llm_judge.site.serving import opened

    with opened(Site(read_bench(folder)), settings.host, settings.port) as server:
        print(f"{folder} is at http://{settings.host}:{server.server_port}/, until Ctrl-C.", flush=True)
        try:
            await asyncio.to_thread(server.serve_forever)
        finally:
            server.shutdown()
    return 0
