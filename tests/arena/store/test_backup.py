"""A backup made while people vote holds everything of one moment, and can be put into either database."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from fastchat.arena.store import backup
from fastchat.arena.store.backup import restore
from fastchat.arena.store.store import Store, read_store
from fastchat.arena.store.tables import METADATA
from fastchat.core.errors import SetupError
from tests.arena.store.stories import NOW, SIGNER, ballot, begun, opened
from tests.databases import PostgresServer


def content(connection: Connection) -> Mapping[str, list[Any]]:
    return {
        table.name: sorted(map(tuple, connection.execute(select(table))), key=str) for table in METADATA.sorted_tables
    }


async def filled(store: Store, votes: int) -> None:
    voter_id = await store.voter_id("key", "ada")
    await store.add_file("file", voter_id, bytes(range(256)), "image/png", "a.png", None, NOW)
    await store.set_model_settings("default", "alpha", {"weight": 2}, login="ada", at=NOW)
    for number in range(votes):
        await store.cast(ballot(await begun(store, voter_id, f"Grüße {number} 🙂")))


@pytest.mark.parametrize("target", ["sqlite", "postgres"])
async def test_what_is_restored_is_what_was_there(
    address: str, target: str, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGE", 7)
    file = tmp_path / "backups" / "arena.backup.db"
    async with opened(address) as store:
        await filled(store, 20)
        kept = await store.read(content)
        await store.backup(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    new = postgres.new_database(tmp_path.name) if target == "postgres" else str(tmp_path / "restored.db")
    assert await asyncio.to_thread(restore, file, new) == 20
    async with opened(new) as store:
        assert await store.read(content) == kept
        assert (await store.audit(SIGNER.public)).is_valid
        following = await store.cast(ballot(await begun(store, await store.voter_id("key", None))))
        assert following.index == 20


async def test_people_vote_while_a_backup_is_made(address: str, tmp_path: Path) -> None:
    async with opened(address) as store:
        await filled(store, 5)
        voter_id = await store.voter_id("key", None)
        cast = [ballot(await begun(store, voter_id)) for _ in range(60)]
        async with read_store(address) as beside:
            made = asyncio.create_task(beside.backup(tmp_path / "backup.db"))
            receipts = await asyncio.gather(*map(store.cast, cast))
            await made
        assert len(receipts) == 60
        assert (await store.audit(SIGNER.public, receipts=receipts)).leaves == 65
    async with read_store(str(tmp_path / "backup.db")) as copy:
        verdict = await copy.audit(SIGNER.public)
        assert verdict.is_valid
        assert verdict.leaves >= 5


async def test_nothing_is_overwritten(address: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    async with opened(address) as store:
        await filled(store, 1)
        await store.backup(file)
        with pytest.raises(SetupError, match="is there already"):
            await store.backup(file)
        with pytest.raises(SetupError, match="cannot be written"):
            await store.backup(file / "inside a file")
        kept = await store.read(content)
    with pytest.raises(SetupError, match=r"is not empty: there are .*voters"):
        await asyncio.to_thread(restore, file, address)
    async with opened(address) as store:
        assert await store.read(content) == kept


async def test_a_backup_that_was_changed_is_not_restored(address: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.db"
    async with opened(str(tmp_path / "source.db")) as store:
        await filled(store, 3)
        await store.backup(file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE votes SET outcome = 'rightvote' WHERE leaf_index = 1")
    connection.close()
    with pytest.raises(SetupError, match="damaged: vote 1 is not as it was cast"):
        await asyncio.to_thread(restore, file, address)
    async with opened(address) as store:
        assert not any((await store.read(content)).values())


async def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="There is no backup"):
        restore(tmp_path / "none.db", str(tmp_path / "new.db"))
    (tmp_path / "text").write_text("not a database" * 1000)
    with pytest.raises(SetupError, match="not an SQLite database"):
        restore(tmp_path / "text", str(tmp_path / "new.db"))
    assert not (tmp_path / "new.db").exists()
