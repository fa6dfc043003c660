"""`fastchat monitor`, as before `python3 -m fastchat.serve.monitor.monitor`."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat, PositiveInt
from pydantic_settings import SettingsConfigDict

from fastchat.access.addresses import TrustedProxies
from fastchat.access.directory import Directory
from fastchat.access.passwords import Passwords
from fastchat.access.settings import Access
from fastchat.access.sign_in import SignIn
from fastchat.access.visitors import Visitors
from fastchat.core.errors import MissingPackage
from fastchat.core.serving import ServerSettings, run, serve
from fastchat.core.settings import setting

if TYPE_CHECKING:
    from fastchat.web.result_files import Results


class MonitorSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="FASTCHAT_MONITOR_")
    withdrawn: ClassVar = {"--share": "serve the page of `fastchat web --share` instead, or put a proxy before it."}
    without_effect: ClassVar = {"--concurrency-count": "nothing here waits for anything."}
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(7860, "port to listen on; 0 takes a free one")
    elo_results_file: Path | None = setting(
        None, "a board of `fastchat leaderboard build`, or FastChat's results; without it, the logs are rated", "--elo",
        metavar="FILE",
    )  # fmt: skip
    leaderboard_table_file: Path | None = setting(None, "CSV of facts about models", metavar="FILE")
    arena_hard_leaderboard: Path | None = setting(None, "CSV of Arena-Hard's scores", metavar="FILE")
    logs: list[Path] = setting([], "FastChat's logs, files or folders", metavar="PATH", nargs="+")
    max_num_files: PositiveInt | None = setting(None, "read only so many logs, the newest", metavar="N")
    exclude_model_names: list[str] = setting([], "leave out votes on these models", metavar="MODEL", nargs="+")
    ban_ip_file: Path | None = setting(None, "JSON list of voters whose votes are left out", metavar="FILE")
    update_interval: PositiveFloat = setting(300.0, "read everything again after so many seconds", metavar="SECONDS")
    password: tuple[str, str] | None = setting(
        None, "ask for this name and this password", metavar=("USER", "PASS"), nargs=2
    )


def main(argv: Sequence[str] | None = None) -> None:
    settings = MonitorSettings.from_argv(
        argv, prog="fastchat monitor", description="Serve a leaderboard by itself, without models."
    )
    for package in ("fastapi", "numpy"):
        if find_spec(package) is None:
            raise MissingPackage(package, "webui", "The leaderboard's page")
    run(_serve(settings))


async def _serve(settings: MonitorSettings) -> None:
    listener = settings.listener()
    from fastchat.arena.cleaning.log_folders import find_logs
    from fastchat.web import theme
    from fastchat.web.leaderboard import Leaderboard
    from fastchat.web.monitor import kept_fresh, monitor_app

    def logs() -> list[Path]:
        return find_logs(settings.logs, settings.max_num_files)

    def read() -> "Results":
        return _read(settings, logs)

    board = Leaderboard(read(), None)
    app = monitor_app(board, _access(settings), logs, style=theme.colours())
    async with kept_fresh(board, read, settings.update_interval):
        await serve(app, listener, role="monitor", drain_s=1)


def _read(settings: MonitorSettings, logs: Callable[[], Sequence[Path]]) -> "Results":
    from fastchat.web.monitor import from_logs
    from fastchat.web.result_files import read_results

    given = read_results(settings.elo_results_file, settings.leaderboard_table_file, settings.arena_hard_leaderboard)
    if settings.elo_results_file is not None:
        return given
    rated = from_logs(logs(), exclude=settings.exclude_model_names, banned=settings.ban_ip_file)
    return replace(given, board=rated)


def _access(settings: MonitorSettings) -> Access:
    """Who has the password is who may look; a restart signs everybody out."""
    directory = Directory(passwords=Passwords(dict([settings.password])) if settings.password else Passwords({}))
    visitors = Visitors(os.urandom(32), directory, TrustedProxies())
    return Access(visitors, SignIn(visitors), "")
