"""What the page is built upon, as its flags say."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path

import pytest

from fastchat.access.people import Visitor
from fastchat.arena.records import Mode, TextPart
from fastchat.core.errors import NotFound, SetupError
from fastchat.web.process import backstage
from fastchat.web.settings import Limits, Pace, WebSettings
from tests.web.fake_api import FakeApi

SOMEBODY = Visitor(voter_key="somebody", address_hash="somewhere")


def settings(folder: Path, **flags: object) -> WebSettings:
    return WebSettings(**{"data_dir": folder, "controller_url": "", **flags})


async def test_fastchats_questions_are_drawn_where_the_arena_has_none(tmp_path: Path) -> None:
    fastchats = tmp_path / "random.json"
    fastchats.write_text('[{"question": "What is a lien?"}]')
    own = tmp_path / "own.jsonl"
    own.write_text('{"text": "Who pays?"}')
    arenas = tmp_path / "arenas.yaml"
    arenas.write_text("default: {questions: own.jsonl}\nother: {}\n")
    for flags, drawn in (({}, "What is a lien?"), ({"arenas_file": arenas}, "Who pays?")):
        told = settings(tmp_path, random_questions=fastchats, **flags)
        async with backstage(told, Pace(), Limits()) as behind:
            assert await behind.arena.random_question(SOMEBODY, "default") == (TextPart(text=drawn),)
            if flags:
                with pytest.raises(NotFound):
                    await behind.arena.random_question(SOMEBODY, "other")


async def test_conversations_are_logged_as_fastchat_does(tmp_path: Path, api: FakeApi) -> None:
    told = settings(tmp_path, api_url=api.url, conv_log_dir=tmp_path / "logs")
    async with backstage(told, Pace(), Limits()) as behind, asyncio.timeout(10):
        while not behind.fleet.models:
            await asyncio.sleep(0.01)
        begun = await behind.arena.start(SOMEBODY, "default", Mode.DIRECT, models=["tiny-chat"])
        await behind.arena.ask(SOMEBODY, begun.conversation_id, [TextPart(text="Hi")])
        async with aclosing(behind.arena.follow(SOMEBODY, begun.conversation_id)) as events:
            assert [event async for event in events]
    (file,) = (tmp_path / "logs").glob("*-conv.json")
    line = json.loads(file.read_text())
    assert (line["type"], line["model"]) == ("chat", "tiny-chat")


@pytest.mark.parametrize("flag", ["conv_log_dir", "elo_results_file", "leaderboard_table_file", "arena_hard_table"])
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, flag: str) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "below"
    with pytest.raises(SetupError, match=str(place)):
        async with backstage(settings(tmp_path, **{flag: place}), Pace(), Limits()):
            pass
