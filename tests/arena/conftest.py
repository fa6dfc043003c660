"""Databases for the store: a file, and a PostgreSQL server that lives as long as the tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import PostgresServer, postgres_programs, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    programs = postgres_programs()
    if programs is None:
        if os.environ.get("FASTCHAT_SKIP_POSTGRES") == "1":
            pytest.skip("FASTCHAT_SKIP_POSTGRES=1 and there is no initdb")
        pytest.fail("These tests need PostgreSQL: apt-get install postgresql, or set FASTCHAT_SKIP_POSTGRES=1.")
    with postgres_server(programs, syncs=False) as server:
        yield server


@pytest.fixture
def postgres_address(postgres: PostgresServer) -> str:
    """Of an empty database."""
    return postgres.empty("postgres")


@pytest.fixture
def sqlite_address(tmp_path: Path) -> str:
    return str(tmp_path / "arena.db")


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest) -> str:
    """Of an empty database, of one kind and the other."""
    address = request.getfixturevalue(f"{request.param}_address")
    assert isinstance(address, str)
    return address
