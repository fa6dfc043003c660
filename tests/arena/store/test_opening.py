"""Opening a database: what is wrong is said in words; one process owns it; tables are those of this version."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from fastchat.arena.store import backends
from fastchat.arena.store.backends import backend_of
from fastchat.arena.store.store import read_store
from fastchat.arena.store.tables import METADATA
from fastchat.core.errors import MissingPackage, SetupError
from tests.arena.store.stories import ballot, begun, opened
from tests.databases import PostgresServer


async def refusal(address: str) -> str:
    with pytest.raises(SetupError) as refused:
        async with opened(address):
            pass
    return refused.value.message


async def test_migrations_make_the_tables_that_the_code_knows(address: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, METADATA))

    async with opened(address) as store:
        assert await store.read(differences) == []


async def test_a_database_of_a_newer_version_is_refused(address: str) -> None:
    async with opened(address) as store:
        await store.write(
            lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")) and None
        )
    assert "written by a newer FastChat: its tables are of version 9999" in await refusal(address)
    with pytest.raises(SetupError, match="newer FastChat"):
        async with read_store(address):
            pass


async def test_tables_of_another_program_are_left_alone(address: str) -> None:
    async with opened(address) as store:
        await store.write(lambda connection: connection.execute(text("DROP TABLE alembic_version")) and None)
    assert "holds tables of another program: admin_actions" in await refusal(address)


async def test_a_database_has_one_owner(address: str) -> None:
    async with opened(address) as store:
        assert "belongs to another process that is running" in await refusal(address)
        assert await store.voter_id("key", None)
    async with opened(address):
        pass


async def test_another_process_cannot_become_the_owner(address: str) -> None:
    async with opened(address):
        command = [sys.executable, "-m", "tests.arena.store.voters", address]
        ended = await asyncio.to_thread(
            subprocess.run, command, cwd=Path(__file__).parents[3], capture_output=True, text=True
        )
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "belongs to another process" in ended.stderr


async def test_others_read_beside_the_owner_and_cannot_write(address: str) -> None:
    async with opened(address) as store:
        voter_id = await store.voter_id("key", None)
        cast = ballot(await begun(store, voter_id))
        async with read_store(address) as reader:
            await store.cast(cast)
            conversation = await reader.conversation(cast.conversation_id)
            assert conversation is not None
            assert conversation.vote is not None
            with pytest.raises(RuntimeError, match="read only"):
                await reader.cast(cast)
            with pytest.raises(SetupError, match=r"may only be read|read-only transaction"):
                await reader.read(lambda connection: connection.execute(text("DELETE FROM vote_details")) and None)


@pytest.mark.parametrize(
    ("kind", "words"), [("sqlite", "There is no such file"), ("postgres", "Start the arena on it once")]
)
async def test_reading_what_was_never_written_says_so(
    kind: str, words: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=words):
        async with read_store(request.getfixturevalue(f"{kind}_address")):
            pass
    assert os.listdir(tmp_path) == []


async def test_folders_are_made_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "arena.db"
    async with opened(f"sqlite:///{file}") as store:
        await store.voter_id("key", None)
        modes = {path.name: path.stat().st_mode & 0o777 for path in file.parent.glob("arena.db*")}
    modes.pop("arena.db.lock")  # has nothing in it
    assert modes == {"arena.db": 0o600, "arena.db-wal": 0o600, "arena.db-shm": 0o600}


def pragma_of(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


async def test_every_commit_is_synced(sqlite_address: str, postgres_address: str) -> None:
    async with opened(sqlite_address) as store:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        found = [await store.write(partial(pragma_of, name=pragma)) for pragma in pragmas]
        assert found == ["wal", 2, 1, 1, 5000]
    async with opened(postgres_address) as store:
        setting = await store.write(lambda connection: connection.execute(text("SHOW synchronous_commit")).scalar())
        assert setting == "on"


async def test_what_is_no_database_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("This is a list of things to buy. " * 100)
    assert "not an SQLite database" in await refusal(str(file))
    assert file.read_text().startswith("This is a list")
    assert "cannot be made or written" in await refusal(str(tmp_path))


def damage(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


async def test_a_damaged_file_is_told_from_a_good_one(sqlite_address: str) -> None:
    async with opened(sqlite_address) as store:
        for number in range(50):
            await store.voter_id(f"key {number}", None)
    damage(Path(sqlite_address))
    assert "The file is damaged. Restore a backup" in await refusal(sqlite_address)


@pytest.fixture
def plain_user() -> Iterator[None]:
    """Root may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


async def test_a_folder_that_may_not_be_written_to(tmp_path_factory: pytest.TempPathFactory, plain_user: None) -> None:
    message = await refusal("/etc/arena.db")
    assert "/etc/arena.db cannot be made or written: Permission denied" in message


async def test_a_server_that_does_not_answer(postgres: PostgresServer) -> None:
    message = await refusal("postgresql://me:geheim@127.0.0.1:1/arena")
    assert "PostgreSQL says: connection failed" in message
    assert "Is the server running" in message
    assert "geheim" not in message
    missing = postgres.url("nowhere")
    assert 'database "nowhere" does not exist' in await refusal(missing)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://root:geheim@host/db", "mysql://root:***@host/db"),
        ("postgresql+psycopg2://root:geheim@host/db", "no address of a database that votes can be kept in"),
        ("sqlite://", "no path is given"),
        (":memory:", "no path is given"),
        ("", "no path is given"),
        ("postgresql://root:geheim@host:port/db", "which begins with postgresql://, cannot be read"),
    ],
)
def test_other_addresses_are_refused(address: str, words: str) -> None:
    with pytest.raises(SetupError) as refused:
        backend_of(address)
    assert words in refused.value.message
    assert "Give a path, sqlite:///PATH or postgresql://" in refused.value.message
    assert "geheim" not in refused.value.message


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_addresses_of_postgresql(scheme: str) -> None:
    assert backend_of(f"{scheme}://me:geheim@host/db").name == "postgresql+psycopg://me:***@host/db"


def test_the_driver_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match=r"fschat\[postgres\]"):
        backend_of("postgresql://host/db")


def test_a_database_that_is_closed_leaves_no_files_behind(sqlite_address: str) -> None:
    async def story() -> None:
        async with opened(sqlite_address) as store:
            await store.voter_id("key", None)

    asyncio.run(story())
    left = {path.name for path in Path(sqlite_address).parent.iterdir()}
    assert left <= {"arena.db", "arena.db.lock"}
    with sqlite3.connect(sqlite_address) as connection:
        assert connection.execute("SELECT count(*) FROM voters").fetchone() == (1,)
    connection.close()
