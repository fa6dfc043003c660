"""The leaderboard by itself: pages, password, files that are read again, a board made from FastChat's logs."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from fastchat.access.settings import Access
from fastchat.access.sign_in import SignIn
from fastchat.commands.monitor import MonitorSettings
from fastchat.core.errors import SetupError
from fastchat.web.leaderboard import Leaderboard
from fastchat.web.monitor import from_logs, kept_fresh, monitor_app
from fastchat.web.result_files import Results, read_results
from fastchat.web.texts import Catalogue
from tests.arena.service.http import serving
from tests.arena.service.stage import ADA
from tests.web.arena_site import PEOPLE, visitors_of
from tests.web.test_leaderboard import a_board, written

LOGS = Path(__file__).parent.parent / "data" / "fastchat_logs"
HTML = {"accept": "text/html"}


def no_logs() -> Sequence[Path]:
    raise SetupError("There are no logs.")


@asynccontextmanager
async def visited(
    board: Leaderboard, *, people: bool = False, logs: object = no_logs
) -> AsyncIterator[aiohttp.ClientSession]:
    visitors = visitors_of(PEOPLE if people else None)
    app = monitor_app(board, Access(visitors, SignIn(visitors), ""), logs)  # type: ignore[arg-type]  # one of ours
    jar = aiohttp.CookieJar(unsafe=True)
    async with serving(None, app=app) as url, aiohttp.ClientSession(url, cookie_jar=jar, headers=HTML) as session:  # type: ignore[arg-type]  # without an arena
        yield session


async def text(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as reply:
        assert reply.status == 200, path
        return await reply.text()


async def test_it_shows_a_board_without_an_arena(tmp_path: Path) -> None:
    board = Leaderboard(read_results(written(a_board(), tmp_path)), None)
    async with visited(board) as session:
        assert 'id="fc-leaderboard"' in await text(session, "/")
        assert "getElementById" in await text(session, "/script.js")
        assert "Published board: Overall" in await text(session, "/leaderboard/table")
        assert json.loads(await text(session, "/leaderboard/board.json"))["format"] == "fastchat-board/1"
        assert "There are no logs." in await text(session, "/stats")


async def test_with_a_password_nobody_sees_anything_without_it(tmp_path: Path) -> None:
    board = Leaderboard(read_results(written(a_board(), tmp_path)), None)
    async with visited(board, people=True) as session:
        for path in ("/", "/leaderboard/table", "/leaderboard/board.json", "/stats"):
            async with session.get(path, allow_redirects=False) as reply:
                assert reply.status == 303, path
        form = {"username": "ada", "password": PEOPLE["ada"]}
        await session.post("/login", data=form, headers={"sec-fetch-site": "same-origin"})
        assert "Published board" in await text(session, "/leaderboard/table")


async def test_logs_are_counted_on_the_second_page() -> None:
    logs = [LOGS / "2023-11-15-conv.json"]
    async with visited(Leaderboard(Results(), None), logs=lambda: logs) as session:
        page = await text(session, "/stats")
    for said in ("Actions", "Calls of models", "Anonymous votes", "Chats by hour", "2023-11-15"):
        assert said in page


async def test_newer_files_are_read_while_it_runs_and_broken_ones_are_not(caplog: pytest.LogCaptureFixture) -> None:
    newer = Results(board=a_board())
    texts = Catalogue.load().of("en")
    answers = iter([SetupError("half a file"), newer])
    was_read = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read() -> Results:
        answer = next(answers, None)
        if isinstance(answer, SetupError):
            raise answer
        loop.call_soon_threadsafe(was_read.set)
        return newer

    board = Leaderboard(Results(), None)
    first = board.version(ADA, "default")
    with caplog.at_level(logging.WARNING):
        async with kept_fresh(board, read, every_s=0.001):
            await asyncio.wait_for(was_read.wait(), 10)
            while board.version(ADA, "default") == first:
                await asyncio.sleep(0)
    assert "half a file" in caplog.text
    assert "aurora" in await board.html(ADA, "default", texts)


def test_fastchats_logs_are_rated_when_there_is_no_file() -> None:
    pytest.importorskip("polars")
    logs = [LOGS / "2023-11-15-conv.json", LOGS / "2023-11-16-conv.json"]
    board = from_logs(logs)
    assert [(row.name, row.votes) for row in board.categories["overall"].models] == [
        ("vicuna-13b", 1), ("gpt-4-0613", 1)
    ]  # fmt: skip
    assert ("repeated", 1) in [(step.rule, step.dropped) for step in board.cleaning]
    assert board.digest == board.own_digest
    with pytest.raises(SetupError, match="no vote that counts"):
        from_logs(logs, exclude=["vicuna-13b"])


def test_fastchats_flags_are_understood() -> None:
    argv = [
        "--elo",
        "elo.pkl",
        "--password",
        "ada",
        "enig,ma",
        "--exclude-model-names",
        "a",
        "b",
        "--max-num-files",
        "3",
    ]
    settings = MonitorSettings.from_argv(argv, prog="monitor", description="")
    assert settings.elo_results_file == Path("elo.pkl")
    assert settings.password == ("ada", "enig,ma")
    assert settings.exclude_model_names == ["a", "b"]
    assert settings.update_interval == 300
    with pytest.raises(SetupError, match="--share"):
        MonitorSettings.from_argv(["--share"], prog="monitor", description="")
    with contextlib.suppress(SystemExit):
        MonitorSettings.from_argv(["--password", "only"], prog="monitor", description="")
        raise AssertionError("half a login was taken")
