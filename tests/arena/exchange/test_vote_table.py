"""Votes as tables: what the loaders of rankings and polars read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fastchat.arena.exchange.vote_table import TableOptions, vote_rows, write_table
from fastchat.arena.records import Mode, Outcome
from fastchat.arena.store.reading import Range, voted
from fastchat.arena.store.store import Store
from tests.arena.exchange.logs import SAMPLES, SECRET, take_in
from tests.arena.store.stories import NOW, answered, ballot, begun, opened, question

polars = pytest.importorskip("polars")

FILES = sorted(SAMPLES.glob("*.json"))


async def write(
    store: Store,
    target: Path,
    *,
    with_text: bool = True,
    key: bytes = SECRET,
    arena: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> int:
    options = TableOptions(key, with_text)
    return await store.read(
        lambda rows: write_table(
            vote_rows(voted(rows, Range(arena)), options, Range(None, since, until)),
            target,
            is_parquet=target.suffix == ".parquet",
        )
    )


async def test_polars_reads_what_a_ranking_needs(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        for outcome in Outcome:
            await store.cast(ballot(await begun(store, await store.voter_id("key", None)), outcome))
        assert await write(store, tmp_path / "votes.parquet") == 4
    table = polars.read_parquet(tmp_path / "votes.parquet")
    assert table["winner"].to_list() == ["model_a", "model_b", "tie", "tie (bothbad)"]
    assert table["anony"].to_list() == [True] * 4
    first = table.row(0, named=True)
    assert (first["model_a"], first["model_b"], first["tstamp"]) == ("alpha", "beta", NOW)
    assert (first["probability"], first["policy"], first["turn"]) == (0.25, "weighted", 1)
    assert (first["tokens_a"], first["first_token_s_b"], first["tokens_per_s_a"]) == (40, 0.5, 26.0)
    assert first["conv_b"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "right of hello"},
    ]


async def test_json_lines_and_parquet_say_the_same(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        await write(store, tmp_path / "votes.jsonl")
        await write(store, tmp_path / "votes.parquet")
    lines = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    assert polars.read_parquet(tmp_path / "votes.parquet").to_dicts() == lines


async def test_imported_votes_keep_their_time_and_claim_no_probability(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        await write(store, tmp_path / "votes.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    assert [row["tstamp"] for row in rows] == [1700042431.4242, 1700049600.1, 1700215200.75, 1714644030.0]
    assert {row["probability"] for row in rows} == {None}
    assert [row["mode"] for row in rows] == [Mode.BATTLE, Mode.SIDE_BY_SIDE, Mode.BATTLE, Mode.BATTLE]
    assert len(rows[0]["conv_a"]) == 2  # what came after the vote was not voted on


async def test_only_what_stood_when_the_vote_was_cast_counts(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        again = answered(conversation.turns[0], "a second left", "a second right", attempt=2)
        await store.save_answers(conversation, again)
        await store.cast(ballot(conversation))
        later = replace(answered(question("more", number=1, at=NOW + 9), "x", "y"), is_after_vote=True)
        await store.add_turn(conversation, later)
        await write(store, tmp_path / "votes.jsonl")
    (row,) = (json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines())
    assert [message["content"] for message in row["conv_a"]] == ["hello", "a second left"]


async def test_without_text(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        await write(store, tmp_path / "votes.parquet", with_text=False)
    table = polars.read_parquet(tmp_path / "votes.parquet")
    assert table["conv_a"].null_count() == table["conv_b"].null_count() == len(table) == 4
    assert b"haiku" not in (tmp_path / "votes.parquet").read_bytes()


async def test_judges_of_two_keys_cannot_be_joined(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await take_in(store, FILES)
        await write(store, tmp_path / "one.parquet")
        await write(store, tmp_path / "two.parquet", key=bytes(32))
    one, two = (set(polars.read_parquet(tmp_path / name)["judge"]) for name in ("one.parquet", "two.parquet"))
    assert len(one) == len(two) == 2
    assert not one & two


async def test_an_erased_vote_has_neither_judge_nor_text(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        conversation = await begun(store, await store.voter_id("key", None))
        await store.cast(ballot(conversation))
        await store.erase_conversation(conversation.conversation_id, NOW)
        await write(store, tmp_path / "votes.jsonl")
    row = json.loads((tmp_path / "votes.jsonl").read_text())
    assert (row["winner"], row["judge"], row["conv_a"], row["turn"]) == ("model_a", None, None, None)


async def test_one_arena_and_one_time(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        voter = await store.voter_id("key", None)
        for arena in ("default", "legal"):
            await store.cast(ballot(await begun(store, voter, arena=arena)))
        assert await write(store, tmp_path / "legal.jsonl", arena="legal") == 1
        assert await write(store, tmp_path / "until.jsonl", until=NOW) == 0
        assert await write(store, tmp_path / "since.jsonl", since=NOW) == 2


async def test_nothing_is_overwritten(sqlite_address: str, tmp_path: Path) -> None:
    (tmp_path / "votes.parquet").write_text("mine")
    async with opened(sqlite_address) as store:
        with pytest.raises(FileExistsError):
            await write(store, tmp_path / "votes.parquet")
    assert (tmp_path / "votes.parquet").read_text() == "mine"
