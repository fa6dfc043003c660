"""FastChat's logs go into the store and come out again as they were, but for the address."""

import json
import re
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from sqlalchemy import Connection

from fastchat.arena.exchange import exporting
from fastchat.arena.exchange.importing import Count, refuse
from fastchat.arena.records import Mode, Outcome
from fastchat.arena.store.reading import Range, Transcript, transcripts, transcripts_of, voted
from fastchat.arena.store.store import Store
from fastchat.core.errors import SetupError
from tests.arena.exchange.logs import SAMPLES, copied, give_out, take_in, well_formed, without_address
from tests.arena.store.stories import NOW, SIGNER, opened

FILES = sorted(SAMPLES.glob("*.json"))
BATTLE = "0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8f9"


async def test_lines_come_back_as_they_were(address: str, tmp_path: Path) -> None:
    async with opened(address) as store:
        await take_in(store, FILES)
        out = await give_out(store, tmp_path / "out")
    assert without_address(well_formed(out)) == without_address(well_formed(FILES))


async def test_files_have_the_days_and_names_of_fastchat(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        out = await give_out(store, tmp_path / "out")
    assert [file.name for file in out] == [file.name for file in FILES]
    for file in out:
        times = [line["tstamp"] for line in well_formed([file])]
        assert times == sorted(times)


async def test_addresses_become_keyed_hashes(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        out = await give_out(store, tmp_path / "out")
    lines = well_formed(out)
    assert all(re.fullmatch("[0-9a-f]{32}", line["ip"]) for line in lines)
    assert len({line["ip"] for line in lines}) == len({line["ip"] for line in well_formed(FILES)})
    raw = b"".join(file.read_bytes() for file in (Path(sqlite_address), *out))
    assert b"198.51.100" not in raw
    assert b"2001:db8" not in raw


async def test_importing_twice_adds_nothing(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        first = await take_in(store, FILES)
        before = await store.read(lambda rows: list(transcripts(rows)))
        second = await take_in(store, FILES)
        assert await store.read(lambda rows: list(transcripts(rows))) == before
        assert (await store.audit(SIGNER.public)).leaves == first[Count.VOTES] == 4
    assert second[Count.ADDED] == second[Count.VOTES] == second[Count.CONVERSATIONS] == 0


async def test_days_one_after_the_other_give_the_same_as_all_at_once(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        for file in FILES:
            await take_in(store, [file])
        stepwise = await store.read(lambda rows: list(transcripts(rows)))
        votes = await store.read(lambda rows: [one.leaf.battle_id for one in voted(rows)])
    async with opened(str(tmp_path / "other.sqlite")) as store:
        await take_in(store, FILES)
        together = await store.read(lambda rows: list(transcripts(rows)))
        assert await store.read(lambda rows: [one.leaf.battle_id for one in voted(rows)]) == votes
    for one, other in zip(stepwise, together, strict=True):
        assert (one.messages, one.mode, one.models, one.details) == (
            other.messages,
            other.mode,
            other.models,
            other.details,
        )


async def test_a_vote_of_a_later_day_joins_two_sides(sqlite_address: str) -> None:
    *_, first, second, _ = FILES
    async with opened(sqlite_address) as store:
        await take_in(store, [first])
        assert [one.mode for one in await store.read(lambda rows: list(transcripts(rows)))] == [Mode.DIRECT] * 2
        await take_in(store, [second])
        (battle,) = await store.read(lambda rows: list(transcripts(rows)))
    assert battle.mode is Mode.BATTLE
    assert battle.models == ("koala-13b", "alpaca-13b")
    assert battle.vote is not None
    assert battle.vote.vote.outcome is Outcome.RIGHT


async def test_what_the_store_knows_of_a_battle(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        battle = await store.conversation(BATTLE)
        assert battle is not None
        assert battle.vote is not None
        assert battle.battle is not None
    assert (battle.mode, battle.models) == (Mode.BATTLE, ("vicuna-13b", "gpt-4"))
    assert (battle.vote.outcome, battle.vote.cast_at) == (Outcome.LEFT, NOW)
    assert (battle.battle.policy, battle.battle.probability) == ("imported", 1.0)
    assert [turn.is_after_vote for turn in battle.turns] == [False, True]
    assert [answer.text for answer in battle.turns[1].answers] == ["Snow keeps its secrets", "Flakes: uncountable"]
    assert battle.turns[0].answers[0].duration_s == pytest.approx(3.4444)
    assert battle.sampling.max_tokens == 1024


async def test_regenerated_answers_and_thumbs_belong_to_their_answers(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        found = {one.conversation_id: one for one in await store.read(lambda rows: list(transcripts(rows)))}
    direct = found["2c3d4e5f-6071-4273-b495-c6d7e8f90a1b"]
    answers = [message for message in direct.messages if message.side]
    assert [(one.text, one.attempt, one.is_superseded) for one in answers] == [("5", 1, True), ("4", 2, False)]
    texts = {message.message_id: message.text for message in answers}
    assert [(texts[given.message_id], given.thumb.value) for given in direct.thumbs] == [
        ("5", "downvote"),
        ("4", "upvote"),
        ("4", "flag"),
    ]


async def test_pictures_come_along(sqlite_address: str) -> None:
    name = "9e107d9d372bb6826bd81d3542a419d6"
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        stored = await store.file(name)
    assert stored is not None
    assert stored.content == (SAMPLES / "serve_images" / f"{name}.png").read_bytes()


async def test_malformed_lines_are_told_with_their_place(sqlite_address: str) -> None:
    told: list[str] = []
    async with opened(sqlite_address) as store:
        counts = await take_in(store, FILES, report=lambda raw, reason: told.append(f"{raw.file.name}:{raw.number}"))
    assert told == [f"2023-11-16-conv.json:{number}" for number in (4, 6, 7, 8)]
    assert (counts[Count.MALFORMED], counts[Count.TWICE]) == (4, 1)


async def test_strict_imports_nothing_of_a_spoilt_file(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        with pytest.raises(SetupError, match=r"2023-11-16-conv\.json:4 is not JSON"):
            await take_in(store, FILES, report=refuse)
        assert await store.read(lambda rows: list(transcripts(rows))) == []


async def test_a_battle_has_one_vote_and_its_other_votes_are_kept_as_lines(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        counts = await take_in(store, [FILES[0]])
        outcomes = await store.read(lambda rows: [one.leaf.outcome for one in voted(rows)])
    assert counts[Count.FURTHER_VOTES] == 1
    assert outcomes == [Outcome.LEFT, Outcome.BOTH_BAD]


async def test_what_was_erased_is_not_brought_back(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        await store.erase_conversation(BATTLE, NOW)
        counts = await take_in(store, FILES)
        erased = await store.conversation(BATTLE)
        assert erased is not None
        assert counts[Count.ERASED] == 1
        assert (await store.audit(SIGNER.public)).is_valid
        (transcript,) = await store.read(lambda rows: transcripts_of(rows, [BATTLE]))
    assert not transcript.details
    assert not any(message.parts for message in transcript.messages)


async def test_a_side_that_was_paired_otherwise_is_left_out(sqlite_address: str, tmp_path: Path) -> None:
    vote = next(line for line in well_formed(FILES[:1]) if line["type"] == "leftvote")
    other = copied(vote)
    other["states"][1]["conv_id"] = "f" * 32
    (tmp_path / "other-conv.json").write_text(json.dumps(other) + "\n")
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        counts = await take_in(store, [tmp_path / "other-conv.json"])
    assert (counts[Count.CONFLICTS], counts[Count.VOTES]) == (1, 0)


async def test_what_both_sides_said_after_the_vote_is_added_to_their_battle(
    sqlite_address: str, tmp_path: Path
) -> None:
    lines = well_formed(FILES[:1])
    parts = [lines[:3], lines[3:5]]  # up to the vote; a turn more on either side, without a line that pairs them
    async with opened(sqlite_address) as store:
        for number, part in enumerate(parts):
            (tmp_path / f"{number}-conv.json").write_text("".join(json.dumps(line) + "\n" for line in part))
            await take_in(store, [tmp_path / f"{number}-conv.json"])
        (battle,) = await store.read(lambda rows: list(transcripts(rows)))
        out = await give_out(store, tmp_path / "out")
    assert [message.text for message in battle.messages if message.turn == 1 and message.side] == [
        "Snow keeps its secrets",
        "Flakes: uncountable",
    ]
    assert without_address(well_formed(out)) == without_address(lines[:5])


async def test_voters_are_told_apart_by_their_address(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        votes = await store.read(lambda rows: [(one.leaf.outcome, one.voter_id) for one in voted(rows)])
    voters = [voter for outcome, voter in votes if outcome is not Outcome.BOTH_BAD]
    (other,) = (voter for outcome, voter in votes if outcome is Outcome.BOTH_BAD)
    assert len(voters) == 3
    assert set(voters) == {voters[0]} != {other}


async def test_what_a_third_program_exported_into_another_store_is_equal(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        first = await give_out(store, tmp_path / "first")
    async with opened(str(tmp_path / "other.sqlite")) as store:
        await take_in(store, first, secret=bytes(32))
        second = await give_out(store, tmp_path / "second")
    assert [file.read_bytes() for file in second] == [file.read_bytes() for file in first]


async def test_a_vote_that_an_interrupted_import_left_out_is_cast_by_the_next(
    sqlite_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(*_: object) -> None:
        raise ConnectionAbortedError

    async with opened(sqlite_address) as store:
        cast = Store.cast
        monkeypatch.setattr(Store, "cast", break_off)
        with pytest.raises(ConnectionAbortedError):
            await take_in(store, FILES)
        monkeypatch.setattr(Store, "cast", cast)
        assert (await take_in(store, FILES))[Count.VOTES] == 4


async def test_an_export_that_fails_leaves_nothing_to_be_in_the_way(sqlite_address: str, tmp_path: Path) -> None:
    def failing(rows: Connection) -> Iterator[Transcript]:
        yield from transcripts(rows)
        raise OSError("the disk is full")

    async with opened(sqlite_address) as store:
        await take_in(store, sorted(SAMPLES.glob("*.json")))
        with pytest.raises(OSError, match="the disk is full"):
            await store.read(lambda rows: exporting.export(failing(rows), tmp_path / "out", Range(), UTC))
        assert list((tmp_path / "out").iterdir()) == []
        assert await give_out(store, tmp_path / "out")
