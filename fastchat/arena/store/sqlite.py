"""SQLite in one file on a local disk: readers beside one writer (WAL), and a commit is on the disk when it returns."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, NullPool, Pool, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from fastchat.arena.store.backends import READERS
from fastchat.core.errors import SetupError

_BUSY_S = 5.0  # only a checkpoint or a backup can be in the way
_WRITING = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # NORMAL loses the last commits when the power goes
    "PRAGMA secure_delete=ON",  # what is erased is overwritten
    "PRAGMA wal_autocheckpoint=4000",  # pages of 4 KiB; each checkpoint is two more syncs
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA cache_size=-65536",  # KiB
)
_ADVICE = {
    "file is not a database": "The file is not an SQLite database. Give another path, or restore a backup there.",
    "malformed": "The file is damaged. Restore a backup into another file, and keep this one: most can be recovered.",
    "database or disk is full": "The disk is full. Make room.",
    "readonly": "The file or its folder may only be read. Allow writing, or give another path.",
    "unable to open": "The file cannot be opened. Look at who may read and write it and its folder.",
    "locked": "Another program holds the file. End it.",
    "disk I/O error": "The disk reports an error. Look into the system's log.",
}

_DAMAGED = ("malformed", "not a database", "Could not decode to UTF-8", "no such table", "no such column")

# Letters stay as they are, so that they can be searched for.
as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Sqlite:
    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        # Of the process, not of the thread that happens to take it.
        self._lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=0, thread_local=False)

    def prepare(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
        except OSError as error:
            reason = error.strerror or str(error)
            raise SetupError(
                f"The arena's database {self._path} cannot be made or written: {reason}. Give a path in a folder that "
                "this user may write to."
            ) from None

    def writer(self) -> Engine:
        return _engine(partial(self._connect, "rw", _WRITING), "BEGIN IMMEDIATE", NullPool)

    def readers(self) -> Engine:
        return _engine(partial(self._connect, "ro", ("PRAGMA query_only=ON",)), "BEGIN", QueuePool)

    def own(self, connection: Connection) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            raise SetupError(
                f"The arena's database {self._path} belongs to another process that is running. Stop it, or give this "
                "one a database of its own."
            ) from None
        except OSError as error:
            raise SetupError(f"{self._lock.lock_file} cannot be written: {error.strerror or error}.") from None

    def release(self) -> None:
        self._lock.release(force=True)  # taken once for each connection that had to be made anew

    def explain(self, error: DBAPIError) -> str:
        said = str(error.orig)
        if not self._path.exists():
            return "There is no such file. Look at --data-dir and --database-url; the arena makes it when it starts."
        return next((advice for words, advice in _ADVICE.items() if words in said), f"SQLite says: {said}.")

    def is_damage(self, error: DBAPIError) -> bool:
        said = str(error.orig)
        return any(words in said for words in _DAMAGED)

    def note_erasure(self, connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA user_version=1")

    def forget(self, connection: Connection) -> None:
        """Old pages stay in the WAL until it is written back and cut off. While a reader holds it, that waits."""
        with _driver_errors():
            _driver(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def compact(self, connection: Connection) -> None:
        """`secure_delete` overwrites rows where they stood, but not copies that SQLite left behind in unused parts of
        pages when it moved rows about; measured: a few in a thousand. Only writing the file anew is rid of those."""
        with _driver_errors():
            driver = _driver(connection)
            if driver.execute("PRAGMA user_version").fetchone() == (1,):
                driver.execute("VACUUM")
                driver.execute("PRAGMA user_version=0")
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def snapshot(self, file: Path) -> bool:
        with _driver_errors(), closing(self._connect("ro", ())) as connection:
            connection.execute("VACUUM INTO ?", (str(file),))
        return True

    def problems(self, connection: Connection) -> list[str]:
        rows = [*connection.exec_driver_sql("PRAGMA integrity_check"), *_broken_references(connection)]
        return [row[0] for row in rows if row[0] != "ok"]

    def _connect(self, mode: str, pragmas: tuple[str, ...]) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode={mode}",
            uri=True,
            timeout=_BUSY_S,
            isolation_level=None,  # transactions begin when SQLAlchemy says so
            check_same_thread=False,  # pooled: used by one thread at a time
        )
        try:
            for pragma in (*pragmas, "PRAGMA foreign_keys=ON"):
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        # SQLite's own knows no letters but ASCII's, and searches compare what it gives.
        connection.create_function("lower", 1, lambda text: text.lower() if isinstance(text, str) else text)
        return connection


def _driver(connection: Connection) -> sqlite3.Connection:
    """Without SQLAlchemy's transactions."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DBAPIError(None, None, error) from error


def _broken_references(connection: Connection) -> list[tuple[str]]:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check")
    return [(f"row {row[1]} of {row[0]} refers to nothing in {row[2]}",) for row in rows]


def _engine(connect: Callable[[], sqlite3.Connection], begin: str, pool: type[Pool]) -> Engine:
    sizes = {"pool_size": READERS, "max_overflow": 0} if pool is QueuePool else {}
    engine = create_engine(
        "sqlite://", creator=connect, poolclass=pool, json_serializer=as_json, hide_parameters=True, **sizes
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine
