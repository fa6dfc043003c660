"""Conversations of this arena as FastChat's lines: from the store, and live."""

import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest

from fastchat.arena.exchange.exporting import ConversationLog
from fastchat.arena.exchange.importing import Count
from fastchat.arena.happenings import AnswerWritten, ConversationShared, ThumbGiven, VoteCast
from fastchat.arena.records import (
    Conversation,
    Ending,
    FilePart,
    Mode,
    Outcome,
    Sampling,
    Side,
    TextPart,
    Thumb,
    Vote,
)
from fastchat.arena.store.reading import transcripts
from fastchat.arena.store.store import Store
from tests.arena.exchange.logs import give_out, take_in, well_formed, without_address
from tests.arena.store.stories import NOW, answered, ballot, begun, opened, question


async def voted_battle(store: Store, text: str = "hello") -> Conversation:
    voter = await store.voter_id("key", None)
    conversation = await begun(store, voter, text)
    await store.cast(ballot(conversation))
    return conversation


async def test_a_battle_gives_the_lines_fastchat_would_have_written(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        conversation = await voted_battle(store)
        lines = well_formed(await give_out(store, tmp_path / "out"))
    chats = [line for line in lines if line["type"] == "chat"]
    (cast,) = (line for line in lines if line["type"] == "leftvote")
    number = conversation.conversation_id.replace("-", "")
    assert chats[0] == {
        "tstamp": NOW + 2,
        "type": "chat",
        "model": "alpha",
        "gen_params": {"temperature": None, "top_p": None, "max_new_tokens": None},
        "start": NOW,
        "finish": NOW + 2,
        "state": {
            "template_name": "api_based_default",
            "system_message": "",
            "roles": ["user", "assistant"],
            "messages": [["user", "hello"], ["assistant", "left of hello"]],
            "offset": 0,
            "conv_id": number,
            "model_name": "alpha",
        },
        "ip": "address-hash",
    }
    assert [line["model"] for line in chats] == ["alpha", "beta"]
    assert cast["models"] == ["", ""]
    assert [state["model_name"] for state in cast["states"]] == ["alpha", "beta"]
    assert cast["states"][0]["conv_id"] == number != cast["states"][1]["conv_id"]
    assert cast.keys() == {"tstamp", "type", "models", "states", "ip"}


async def test_our_lines_in_another_store_give_the_same_lines(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        for text in ("one", "two \ud800 half", "three\0zero", "vier ☃"):
            await voted_battle(store, text)
        await begun(store, await store.voter_id("key", None), "without a vote")
        first = await give_out(store, tmp_path / "first")
    async with opened(str(tmp_path / "other.sqlite")) as store:
        await take_in(store, first)
        second = await give_out(store, tmp_path / "second")
        found = await store.read(lambda rows: list(transcripts(rows)))
    times = [line["tstamp"] for line in well_formed(first)]
    assert times == sorted(times)  # conversations overlap
    assert [without_address(well_formed([file])) for file in second] == [
        without_address(well_formed([file])) for file in first
    ]
    assert sum(one.vote is not None for one in found) == 4


async def test_our_own_lines_are_not_taken_in_again(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await voted_battle(store)
        await begun(store, await store.voter_id("key", None), "without a vote")
        before = await store.read(lambda rows: list(transcripts(rows)))
        counts = await take_in(store, await give_out(store, tmp_path / "out"))
        assert await store.read(lambda rows: list(transcripts(rows))) == before
    assert counts[Count.ADDED] == counts[Count.VOTES] == 0
    assert counts[Count.OURS] == 2  # the sides of the second are not joined by any line


async def test_failed_answers_are_not_logged(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        (turn,) = conversation.turns
        failed = replace(turn.answers[1], ending=Ending.FAILED, text="", error="503")
        await store.save_answers(conversation, replace(turn, answers=(turn.answers[0], failed)))
        lines = well_formed(await give_out(store, tmp_path / "out"))
    assert [line["model"] for line in lines] == ["alpha"]


def test_the_live_log_says_what_the_export_says(tmp_path: Path) -> None:
    turn = answered(question("hello"), "a", "b")
    conversation = Conversation(
        conversation_id="019b0000-0000-7000-8000-000000000000",
        arena="default",
        mode=Mode.SIDE_BY_SIDE,
        voter_id="v",
        models=("alpha", "beta"),
        created_at=NOW,
        updated_at=NOW,
        system="Be brief.",
        sampling=Sampling(0.5, 0.9, 64),
        turns=(turn,),
    )
    log = ConversationLog(tmp_path / "live", UTC)
    log.append(conversation, AnswerWritten(turn, turn.answers[0]), "hash")
    log.append(conversation, ThumbGiven(turn.answers[1], Thumb.UP, NOW + 3), "hash")
    log.append(conversation, VoteCast(Vote("v", "b", Outcome.TIE, NOW + 4)), "hash")
    log.append(conversation, ConversationShared(NOW + 5), "hash")
    log.close()
    (file,) = (tmp_path / "live").iterdir()
    assert file.name == "2027-01-15-conv.json"
    assert file.stat().st_mode & 0o777 == 0o600
    chat, thumb, vote, share = well_formed([file])
    assert chat["gen_params"] == {"temperature": 0.5, "top_p": 0.9, "max_new_tokens": 64}
    assert chat["state"]["system_message"] == "Be brief."
    assert (thumb["type"], thumb["model"]) == ("upvote", "beta")
    assert (vote["type"], vote["models"]) == ("tievote", ["alpha", "beta"])
    assert (share["type"], share["tstamp"]) == ("share", NOW + 5)


def test_conversations_with_pictures_go_to_fastchats_other_log(tmp_path: Path) -> None:
    picture = FilePart(type="image", file_id="abc", media_type="image/png")
    turn = answered(question(TextPart(text="What is it?"), picture), "a cat", "a dog")
    conversation = Conversation(
        "019b0000-0000-7000-8000-000000000000", "default", Mode.DIRECT, "v", ("alpha",), NOW, NOW
    )
    conversation = replace(conversation, turns=(turn,))
    log = ConversationLog(tmp_path, UTC)
    log.append(conversation, AnswerWritten(turn, next(one for one in turn.answers if one.side is Side.LEFT)), "hash")
    log.close()
    (file,) = tmp_path.iterdir()
    assert file.name == "vision-tmp-2027-01-15-conv.json"
    assert json.loads(file.read_text())["state"]["messages"][0] == ["user", ["What is it?", ["abc"]]]


def test_a_full_disk_costs_lines_of_the_mirror_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    turn = answered(question(TextPart(text="hello")), "left", "right")
    conversation = Conversation(
        "019b0000-0000-7000-8000-000000000000", "default", Mode.DIRECT, "v", ("alpha",), NOW, NOW, turns=(turn,)
    )
    (tmp_path / "a-file").touch()
    log = ConversationLog(tmp_path / "a-file" / "logs", UTC)

    log.tell(conversation, AnswerWritten(turn, turn.answers[0]), "hash")

    assert "a line was not written" in caplog.text
