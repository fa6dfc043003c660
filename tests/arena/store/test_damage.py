"""What somebody with the file, or a disk, can do to SQLite's loosely typed rows: the audit names it and never fails."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fastchat.arena.store.backup import restore
from fastchat.arena.store.store import read_store
from fastchat.arena.transparency.findings import Finding, Verdict
from fastchat.core.errors import SetupError
from tests.arena.store.stories import SIGNER, ballot, begun, opened

VOTES = 3


@pytest.fixture
async def file(sqlite_address: str) -> Path:
    async with opened(sqlite_address) as store:
        voter_id = await store.voter_id("key", None)
        for _ in range(VOTES):
            await store.cast(ballot(await begun(store, voter_id)))
    return Path(sqlite_address)


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def audited(file: Path) -> tuple[Verdict, Sequence[str]]:
    async with read_store(str(file)) as store:
        return await store.audit(SIGNER.public), await store.problems()


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE tree_heads SET log_id = 'xyz' WHERE tree_size = 2", Finding.UNREADABLE_HEAD),
        ("UPDATE tree_heads SET log_id = x'ff00' WHERE tree_size = 2", Finding.UNREADABLE_HEAD),
        ("UPDATE tree_heads SET root_hash = 5 WHERE tree_size = 2", Finding.UNREADABLE_HEAD),
        ("UPDATE tree_heads SET signature = 'text' WHERE tree_size = 2", Finding.UNREADABLE_HEAD),
        ("UPDATE tree_heads SET signed_at = 'noon' WHERE tree_size = 2", Finding.UNREADABLE_HEAD),
        ("UPDATE tree_heads SET signed_at = 9e999 WHERE tree_size = 2", Finding.BAD_SIGNATURE),
        ("UPDATE votes SET leaf_hash = 1000000000000 WHERE leaf_index = 1", Finding.UNREADABLE_LEAF),
        ("UPDATE votes SET leaf_hash = 'text' WHERE leaf_index = 1", Finding.UNREADABLE_LEAF),
        ("UPDATE votes SET leaf_hash = x'00' WHERE leaf_index = 1", Finding.CHANGED_LEAF),
        ("UPDATE votes SET cast_at = 'noon' WHERE leaf_index = 1", Finding.UNREADABLE_LEAF),
        ("UPDATE votes SET probability = x'00' WHERE leaf_index = 1", Finding.UNREADABLE_LEAF),
        ("UPDATE votes SET model_a = x'ff' WHERE leaf_index = 1", Finding.UNREADABLE_LEAF),
        ("UPDATE votes SET model_a = CAST(x'ff' AS TEXT) WHERE leaf_index = 1", Finding.DAMAGED_DATABASE),
        ("UPDATE votes SET leaf_index = -1 WHERE leaf_index = 1", Finding.MISPLACED_LEAF),
        ("DELETE FROM tree_heads WHERE tree_size = 3", Finding.UNSIGNED_LOG),
        ("DROP TABLE tree_heads", Finding.DAMAGED_DATABASE),
    ],
)
async def test_whatever_stands_in_a_row_is_a_finding(file: Path, statement: str, finding: Finding) -> None:
    change(file, statement)
    verdict, _ = await audited(file)
    assert finding in verdict.found


async def test_a_damaged_page_is_a_finding(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'votes'").fetchone()
    with file.open("r+b") as opened_file:
        opened_file.seek((page - 1) * 4096)
        opened_file.write(b"\xa5" * 4096)
    verdict, problems = await audited(file)
    assert verdict.found == {Finding.DAMAGED_DATABASE: 1}
    assert problems


async def test_a_vote_that_was_dropped_with_its_head_leaves_a_trace_beside_the_log(file: Path) -> None:
    change(file, "DELETE FROM votes WHERE leaf_index = 2", "DELETE FROM tree_heads WHERE tree_size = 3")
    verdict, problems = await audited(file)
    assert verdict.is_valid  # only somebody who kept the head or the receipt can prove more
    assert problems == ["row 3 of vote_details refers to nothing in votes"]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE tree_heads SET log_id = 'xyz' WHERE tree_size = 3", "UPDATE votes SET leaf_hash = 7 WHERE leaf_index = 1"],
)
async def test_a_damaged_log_is_not_added_to(file: Path, statement: str) -> None:
    change(file, statement)
    with pytest.raises(SetupError, match="fastchat arena verify"):
        async with opened(str(file)):
            pass


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM voters",
        "UPDATE votes SET leaf_hash = 7 WHERE leaf_index = 1",
        "UPDATE vote_details SET reasons = 'no JSON'",
        "UPDATE votes SET model_a = CAST(x'ff' AS TEXT) WHERE leaf_index = 1",
    ],
)
async def test_a_damaged_backup_is_named(file: Path, statement: str, tmp_path: Path) -> None:
    change(file, statement)
    with pytest.raises(SetupError, match=rf"The backup {file} is damaged"):
        restore(file, str(tmp_path / "new.db"))
