"""A public release: who agreed, what was taken out, what the manifest says, and the same bytes each time."""

import hashlib
import json
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from fastchat.arena.config import ArenaConfig
from fastchat.arena.exchange.release import ReleaseOptions, write_release
from fastchat.arena.records import Consent, Conversation, Mark
from fastchat.arena.store.store import Store
from fastchat.core.errors import SetupError
from tests.arena.exchange.logs import SAMPLES, take_in
from tests.arena.store.stories import NOW, ballot, begun, opened

polars = pytest.importorskip("polars")
pytest.importorskip("presidio_analyzer")

Marks: TypeAlias = frozenset[Mark]
NONE: Marks = frozenset()
PUBLIC = ArenaConfig(publishes=True, terms_version="2")
OPTIONS = ReleaseOptions(
    key=bytes(32), day=date(2027, 1, 20), arenas={"default": PUBLIC, "private": ArenaConfig()}, code_version="1.0"
)


async def voter(store: Store, name: str, *, version: str = "2", may_publish: bool | None = True) -> str:
    voter_id = await store.voter_id(name, None)
    if may_publish is not None:
        await store.add_consent(voter_id, "default", Consent(version, NOW, may_publish))
    return voter_id


async def vote(store: Store, voter_id: str, text: str, *, arena: str = "default", marks: Marks = NONE) -> Conversation:
    conversation = await begun(store, voter_id, text, arena=arena)
    await store.cast(replace(ballot(conversation), marks=marks))
    return conversation


async def release(store: Store, folder: Path, options: ReleaseOptions = OPTIONS) -> tuple[Any, dict[str, Any]]:
    manifest = await store.read(lambda rows: write_release(rows, folder, options))
    assert json.loads((folder / "manifest.json").read_text()) == manifest
    return polars.read_parquet(folder / "votes.parquet"), manifest


async def test_only_texts_of_those_who_agreed_to_these_terms_are_published(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await vote(store, await voter(store, "agreed"), "published words")
        await vote(store, await voter(store, "refused", may_publish=False), "secret words")
        await vote(store, await voter(store, "older", version="1"), "secret words")
        await vote(store, await voter(store, "never asked", may_publish=None), "secret words")
        changed = await voter(store, "changed")
        await store.add_consent(changed, "default", Consent("2", NOW + 1, False))
        await vote(store, changed, "secret words")
        erased = await vote(store, await voter(store, "erased"), "secret words")
        await store.erase_conversation(erased.conversation_id, NOW)
        await vote(store, await voter(store, "flagged"), "secret words", marks=frozenset({Mark.FLAGGED_ANSWER}))
        await vote(store, await voter(store, "elsewhere"), "secret words", arena="private")
        await take_in(store, sorted(SAMPLES.glob("*.json"))[:1])
        table, manifest = await release(store, tmp_path / "out")
    contents = [row["conv_a"] for row in table.to_dicts() if row["conv_a"]]
    assert contents == [
        [{"role": "user", "content": "published words"}, {"role": "assistant", "content": "left of published words"}]
    ]
    assert manifest["waterfall"] == [
        {"what": "votes in the log", "left": 10},
        {"what": "left out", "why": "its arena is not published", "count": 1, "left": 9},
        {"what": "votes in this release", "left": 9},
        {"what": "without text", "why": "a moderator flagged it", "count": 1, "left": 8},
        {"what": "without text", "why": "it was erased", "count": 1, "left": 7},
        {"what": "without text", "why": "its voter agreed to an older version of the terms", "count": 1, "left": 6},
        {"what": "without text", "why": "its voter did not agree", "count": 2, "left": 4},
        {"what": "without text", "why": "its voter was not asked", "count": 3, "left": 1},
        {"what": "votes with text", "left": 1},
    ]
    assert (manifest["rows"], manifest["rows_with_text"], len(table)) == (9, 1, 9)


async def test_nothing_planted_is_left(sqlite_address: str, tmp_path: Path) -> None:
    planted = tomllib.loads((Path(__file__).parents[2] / "data/personal_data.toml").read_text())["planted"]
    async with opened(sqlite_address) as store:
        voter_id = await voter(store, "agreed")
        for one in planted:
            await vote(store, voter_id, one["text"])
        table, manifest = await release(store, tmp_path / "out")
    published = json.dumps(table.to_dicts(), ensure_ascii=False)
    left = [piece for one in planted for piece in (one["secret"], *one.get("parts", ())) if piece in published]
    assert left == []
    assert "<EMAIL>" in published
    assert len(planted) >= 60
    assert sum(manifest["personal_data"]["replaced"].values()) >= 3 * len(planted)  # the question and both answers
    assert voter_id not in published


async def test_the_same_input_key_and_day_give_the_same_bytes(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        voter_id = await voter(store, "agreed")
        for number in range(40):
            await vote(store, voter_id, f"question {number}")
        for name in ("one", "two"):
            await release(store, tmp_path / name)
        await release(store, tmp_path / "three", replace(OPTIONS, key=bytes(range(32))))
    for file in ("votes.parquet", "manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    one, three = (set(polars.read_parquet(tmp_path / name / "votes.parquet")["judge"]) for name in ("one", "three"))
    assert not one & three


async def test_rows_do_not_stand_in_the_order_of_the_log(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        voter_id = await voter(store, "agreed")
        asked = [f"question {number}" for number in range(40)]
        for question in asked:
            await vote(store, voter_id, question)
        table, _ = await release(store, tmp_path / "out")
    published = [row["conv_a"][0]["content"] for row in table.to_dicts()]
    assert sorted(published) == sorted(asked)
    assert published != asked


async def test_what_would_lead_back_to_the_voter_is_left_out(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        conversation = await vote(store, await voter(store, "agreed"), "words")
        table, _ = await release(store, tmp_path / "out")
    (row,) = table.to_dicts()
    assert row["tstamp"] == NOW // 86400 * 86400
    assert row["vote_id"] is row["dwell_s"] is row["reasons"] is None
    published = b"".join(file.read_bytes() for file in (tmp_path / "out").iterdir())
    assert conversation.voter_id is not None
    for secret in (conversation.conversation_id, conversation.voter_id, "address-hash"):
        assert secret.encode() not in published


async def test_the_manifest_says_what_it_is_about(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        await vote(store, await voter(store, "agreed"), "words")
        head = store.head()
        assert head is not None
        _, manifest = await release(store, tmp_path / "out")
    (file,) = manifest["files"]
    assert file["sha256"] == hashlib.sha256((tmp_path / "out" / file["name"]).read_bytes()).hexdigest()
    assert manifest["vote_log"] == head.as_json()
    assert (manifest["date"], manifest["code_version"], list(manifest["arenas"])) == ("2027-01-20", "1.0", ["default"])
    looked_for = manifest["personal_data"]["looked_for"]
    assert all(one["recognizer"] and one["source"] for one in looked_for)
    assert "No language model was used" in manifest["personal_data"]["limits"][0]


async def test_lonely_rows_say_less(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        for name in ("one", "two"):
            conversation = await vote(store, await voter(store, name), "words")
            await _set_language(store, conversation, "de" if name == "one" else "fr")
        both, manifest = await release(store, tmp_path / "two", replace(OPTIONS, k=2))
        lonely, other = await release(store, tmp_path / "three", replace(OPTIONS, k=3))
        free, _ = await release(store, tmp_path / "one")
    assert free["language"].to_list() == ["de", "fr"]
    assert both["language"].to_list() == lonely["language"].to_list() == [None, None]
    assert set(both["tstamp"]) == {NOW // 86400 * 86400}
    assert set(lonely["tstamp"]) == {1798761600.0}  # 2027-01-01
    assert manifest["generalised"] == {"language and category are left out": 2}
    assert other["generalised"]["only the month is given"] == 2


async def _set_language(store: Store, conversation: Conversation, language: str) -> None:
    from sqlalchemy import update

    from fastchat.arena.store.tables import CONVERSATIONS

    this = CONVERSATIONS.c.id == conversation.conversation_id
    await store.write(lambda rows: rows.execute(update(CONVERSATIONS).where(this).values(language=language)))


async def test_without_a_public_arena_there_is_no_release(sqlite_address: str, tmp_path: Path) -> None:
    async with opened(sqlite_address) as store:
        with pytest.raises(SetupError, match="publishes: true"):
            await release(store, tmp_path / "out", replace(OPTIONS, arenas={"default": ArenaConfig()}))


async def test_a_folder_that_holds_something_is_refused(sqlite_address: str, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    async with opened(sqlite_address) as store:
        with pytest.raises(SetupError, match="is not empty"):
            await release(store, tmp_path)
