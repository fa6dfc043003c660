"""What people take back is gone, from the disk too; the log of votes stays whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from fastchat.arena.records import Consent, FilePart, Outcome, Thumb
from fastchat.arena.store.store import Ballot, Store
from fastchat.arena.store.tables import METADATA
from fastchat.arena.transparency.receipts import Receipt
from fastchat.core.errors import NotFound
from tests.arena.store.stories import NOW, SIGNER, answered, ballot, battle, begun, opened, question

SECRET = "Quetzalcoatlus"


def content(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    return {
        table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
        for table in METADATA.sorted_tables
    }


async def personal_story(store: Store, number: int = 0) -> tuple[Ballot, Receipt]:
    """A voter who leaves the secret wherever something can be left."""
    voter_id = await store.voter_id(f"{SECRET} key {number}", f"{SECRET} login {number}")
    await store.add_consent(voter_id, "default", Consent(f"{SECRET}", NOW, True))
    file_id = f"file {number}"
    await store.add_file(file_id, voter_id, SECRET.encode() * 500, "image/png", SECRET, SECRET, NOW)
    picture = FilePart(type="image", file_id=file_id, media_type="image/png", name=SECRET)
    conversation = replace(
        battle(voter_id, question(f"{SECRET} " * 200, picture), title=f"About {SECRET}"),
        system=f"be {SECRET}",
        details={"was": SECRET},
    )
    await store.begin(conversation, f"{SECRET} address")
    await store.set_share_id(conversation.conversation_id, f"{SECRET} {number}")
    for attempt in (1, 2):
        turn = answered(conversation.turns[0], f"{SECRET} {attempt}", SECRET, attempt=attempt)
        await store.save_answers(conversation, turn)
    message_id = turn.answers[0].message_id
    await store.rate(message_id, voter_id, Thumb.UP, [SECRET], NOW)
    await store.add_judgement(message_id, "words", True, {"word": SECRET}, NOW)
    cast = replace(ballot(conversation, reasons=(SECRET,)), address_hash=f"{SECRET} address")
    return cast, await store.cast(cast)


async def other_story(store: Store) -> Ballot:
    other = ballot(await begun(store, await store.voter_id("other", None), "of others", at=NOW + 5))
    await store.cast(other)
    return other


@pytest.mark.parametrize("way", ["voter", "retention"])
async def test_nothing_of_a_person_is_left_but_the_vote(address: str, way: str) -> None:
    async with opened(address) as store:
        cast, receipt = await personal_story(store)
        other = await other_story(store)
        kept = await store.conversation(other.conversation_id)
        if way == "voter":
            await store.erase_voter(cast.voter_id, NOW + 1)
        else:
            assert await store.erase_older("other", NOW + 1, NOW + 1) == 0
            assert await store.erase_older("default", NOW + 1, NOW + 1) == 1
            assert await store.erase_older("default", NOW + 1, NOW + 1) == 0
        rows = await store.read(content)
        if way == "retention":  # who it was may still come again; nothing leads from them to anything
            assert {row["voter_id"] for row in rows.pop("consents")} == {cast.voter_id}
            assert [row["id"] for row in rows.pop("voters")] == [cast.voter_id, other.voter_id]
        assert SECRET not in str(rows)
        details = {row["vote_id"]: row for row in rows["vote_details"]}
        assert details[cast.vote_id]["salt"] is None
        assert details[cast.vote_id]["voter_id"] is None
        assert details[other.vote_id]["salt"] == other.salt
        assert [row["name"] for row in rows["files"]] == []
        assert await store.conversation(other.conversation_id) == kept
        verdict = await store.audit(SIGNER.public, receipts=[receipt])
        assert verdict.is_valid
        assert verdict.leaves == 2
        erased = await store.conversation(cast.conversation_id)
        assert erased is not None
        assert (erased.voter_id, erased.models) == (None, ("alpha", "beta"))
        assert erased.vote is not None
        assert erased.vote.outcome is Outcome.LEFT
        assert await store.shared(f"{SECRET} 0") is None
        assert await store.summaries(cast.voter_id, "default") == []


async def test_a_voter_who_comes_again_is_somebody_else(address: str) -> None:
    async with opened(address) as store:
        cast, _ = await personal_story(store)
        await store.erase_voter(cast.voter_id, NOW)
        assert await store.voter_id(f"{SECRET} key 0", f"{SECRET} login 0") != cast.voter_id
        assert (await store.everything_of(cast.voter_id))["conversations"] == []


async def test_erasing_one_conversation_leaves_the_others(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        for file_id in ("shown twice", "shown once"):
            await store.add_file(file_id, voter_id, b"pixels", "image/png", "a.png", None, NOW)
        pictures = [
            FilePart(type="image", file_id=name, media_type="image/png") for name in ("shown twice", "shown once")
        ]
        first, second = battle(voter_id, question("one", *pictures)), battle(voter_id, question("two", pictures[0]))
        for conversation in (first, second):
            await store.begin(conversation, "address")
        await store.erase_conversation(first.conversation_id, NOW + 1)
        erased = await store.conversation(first.conversation_id)
        assert erased is not None
        assert erased.voter_id is None
        assert [turn.question for turn in erased.turns] == [()]
        assert await store.conversation(second.conversation_id) == second
        assert await store.file("shown once") is None
        assert await store.file("shown twice") is not None


async def test_answers_that_come_after_the_erasure_are_not_kept(address: str) -> None:
    async with opened(address) as store:
        conversation = battle(await store.voter_id("key", None), question("hello"))
        await store.begin(conversation, "address")
        await store.erase_conversation(conversation.conversation_id, NOW)
        await store.save_answers(conversation, answered(conversation.turns[0], SECRET, SECRET))
        await store.add_turn(conversation, question(SECRET, number=1))
        late = replace(ballot(conversation, reasons=(SECRET,)), address_hash=SECRET)
        await store.cast(late)
        await store.rename(conversation.conversation_id, SECRET)
        await store.set_share_id(conversation.conversation_id, SECRET)
        rows = await store.read(content)
        assert SECRET not in str(rows)
        assert [(row["voter_id"], row["salt"]) for row in rows["vote_details"]] == [(None, None)]


async def test_nothing_begins_for_somebody_who_is_gone(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        message_id = (await begun(store, voter_id)).turns[0].answers[0].message_id
        await store.erase_voter(voter_id, NOW)
        late = [
            store.begin(battle(voter_id, question(SECRET)), "address"),
            store.add_file("file", voter_id, SECRET.encode(), "text/plain", "", None, NOW),
            store.add_consent(voter_id, "default", Consent("1", NOW)),
            store.rate(message_id, voter_id, Thumb.UP, [SECRET], NOW),
        ]
        for one in late:
            with pytest.raises(NotFound, match="were deleted"):
                await one


async def test_erased_bytes_are_gone_from_the_files(sqlite_address: str) -> None:
    def bytes_on_disk() -> bytes:
        folder = Path(sqlite_address).parent
        return b"".join(path.read_bytes() for path in sorted(folder.glob("arena.db*")))

    async with opened(sqlite_address) as store:
        stories = [await personal_story(store, number) for number in range(30)]
        for number in range(200):
            await begun(store, await store.voter_id(f"other {number}", None), f"filler {number} " * 50)
        assert SECRET.encode() in bytes_on_disk()
        for cast, _ in stories:
            await store.erase_voter(cast.voter_id, NOW)
        await store.compact()
        assert await store.read(lambda connection: connection.exec_driver_sql("PRAGMA user_version").scalar()) == 0
        left = bytes_on_disk()
        assert SECRET.encode() not in left
        assert not [cast for cast, _ in stories if cast.salt in left]
        assert (await store.audit(SIGNER.public, receipts=[receipt for _, receipt in stories])).is_valid


async def test_files_that_were_never_used_go_with_time(address: str) -> None:
    async with opened(address) as store:
        idle, busy = await store.voter_id("idle", None), await store.voter_id("busy", None)
        await begun(store, busy)
        for voter_id in (idle, busy):
            await store.add_file(voter_id, voter_id, b"pixels", "image/png", "a.png", None, NOW - 100)
        await store.erase_older("default", NOW - 50, NOW)
        assert await store.file(idle) is None
        assert await store.file(busy) is not None


async def test_people_get_all_that_is_kept_of_them(address: str) -> None:
    async with opened(address) as store:
        cast, _ = await personal_story(store)
        await other_story(store)
        everything = await store.everything_of(cast.voter_id)
        assert {name: len(rows) for name, rows in everything.items()} == {
            "voter": 1,
            "consents": 1,
            "conversations": 1,
            "messages": 5,
            "votes": 1,
            "vote_details": 1,
            "feedback": 1,
            "files": 1,
        }
        assert everything["votes"][0]["id"] == cast.vote_id
        assert "of others" not in str(everything)
