"""What SQLite and PostgreSQL do differently, and which of them an address means."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from fastchat.core.errors import MissingPackage, SetupError

READERS = 4  # threads, each with a connection of its own
_ALLOWED = "a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"


class Backend(Protocol):
    name: str  # as people see it: without a password

    def writer(self) -> Engine:
        """For one connection that lives long; each of its transactions has the right to write from its start."""

    def readers(self) -> Engine:
        """For connections that cannot write."""

    def own(self, connection: Connection) -> None:
        """Be the one process that writes, as long as this connection lives or until `release`.

        Raises:
            SetupError: another process is it.
        """

    def release(self) -> None: ...

    def prepare(self) -> None:
        """Make a place for a database that is not there yet.

        Raises:
            SetupError: it cannot be made.
        """

    def explain(self, error: DBAPIError) -> str:
        """What went wrong and what to do, in one or two sentences."""

    def is_damage(self, error: DBAPIError) -> bool:
        """Whether what is stored is not as it was written; not that it cannot be reached, or is full."""

    def note_erasure(self, connection: Connection) -> None:
        """In the transaction that erases: `compact` has something to do."""

    def forget(self, connection: Connection) -> None:
        """Outside a transaction, after an erasure: let go of copies of what was erased, as far as that is quick."""

    def compact(self, connection: Connection) -> None:
        """Outside a transaction: let go of all copies, if anything was erased since the last time. Takes its time."""

    def snapshot(self, file: Path) -> bool:
        """Write a copy of one moment as an SQLite file; False: this database cannot, its rows have to be copied."""

    def problems(self, connection: Connection) -> list[str]:
        """What the database itself finds wrong with its files."""


def backend_of(address: str) -> Backend:
    """
    Raises:
        SetupError: it is none that we know, or its driver is not installed.
    """
    if "://" not in address:
        return _sqlite(address)
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        scheme = address.partition("://")[0]
        # Not shown: what cannot be parsed may hold a password anywhere.
        raise SetupError(
            f"The address of the database, which begins with {scheme}://, cannot be read. {_give()}"
        ) from None
    shown = url.render_as_string(hide_password=True)
    kinds: dict[str, Callable[[], Backend]] = {
        "sqlite": lambda: _sqlite(url.database),
        "postgres": lambda: _postgres(address),
        "postgresql": lambda: _postgres(address),
        "postgresql+psycopg": lambda: _postgres(address),
    }
    if url.drivername not in kinds:
        raise SetupError(f"{shown!r} is no address of a database that votes can be kept in. {_give()}")
    return kinds[url.drivername]()


def _give() -> str:
    return f"Give {_ALLOWED}."


def _sqlite(path: str | None) -> Backend:
    from fastchat.arena.store.sqlite import Sqlite

    if not path or path == ":memory:":
        raise SetupError(f"Votes need a database on a disk, and no path is given. {_give()}")
    return Sqlite(Path(path).expanduser().resolve())


def _postgres(address: str) -> Backend:
    if find_spec("psycopg") is None:
        raise MissingPackage("psycopg", "postgres", "A PostgreSQL database")
    from fastchat.arena.store.postgres import Postgres

    return Postgres(make_url(address).set(drivername="postgresql+psycopg"))
