"""PostgreSQL through psycopg. The process that writes holds an advisory lock, which ends with its connection."""

from pathlib import Path

from psycopg import Connection as PsycopgConnection
from psycopg.errors import LockNotAvailable
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from fastchat.arena.store.backends import READERS
from fastchat.arena.store.sqlite import as_json
from fastchat.core.errors import SetupError

_LOCK = 0x66736368_61740001  # any number that nobody else takes: "fschat", 1
_CONNECT_S = 10
_OWNER_WAIT_S = 2
_SESSION = (
    "SET synchronous_commit TO on",  # whatever the server's default is
    # The writer looks up few rows by keys. Of a table that has just grown the planner knows nothing, reads all of it,
    # and stays with that plan.
    "SET enable_seqscan TO off",
    # The lock of an owner whose machine is gone is free after a minute, not after hours.
    "SET tcp_keepalives_idle TO 30",
    "SET tcp_keepalives_interval TO 10",
    "SET tcp_keepalives_count TO 3",
)


class Postgres:
    def __init__(self, url: URL) -> None:
        self.name = url.render_as_string(hide_password=True)
        self._url = url

    def prepare(self) -> None:
        """Databases and their users are made by whoever runs the server."""

    def writer(self) -> Engine:
        engine = create_engine(
            self._url,
            poolclass=NullPool,
            json_serializer=as_json,
            hide_parameters=True,  # errors go to logs, and rows hold what people said
            connect_args={"connect_timeout": _CONNECT_S},
        )
        event.listen(engine, "connect", _set_up)
        return engine

    def readers(self) -> Engine:
        return create_engine(
            self._url,
            pool_size=READERS,
            max_overflow=0,
            pool_pre_ping=True,  # the server may have restarted
            isolation_level="REPEATABLE READ",
            json_serializer=as_json,
            hide_parameters=True,
            connect_args={"connect_timeout": _CONNECT_S, "options": "-c default_transaction_read_only=on"},
        )

    def own(self, connection: Connection) -> None:
        # The server may take a moment to notice that an owner was killed.
        connection.execute(text(f"SET LOCAL lock_timeout = '{_OWNER_WAIT_S}s'"))
        try:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            raise SetupError(
                f"The arena's database {self.name} belongs to another process that is running. Stop it, or give this "
                "one a database of its own."
            ) from None
        connection.commit()

    def release(self) -> None:
        """The lock went with the connection."""

    def explain(self, error: DBAPIError) -> str:
        # Its details, if it has any, quote rows.
        primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
        said = " ".join((primary or str(error.orig)).split())
        if self._url.password:
            said = said.replace(str(self._url.password), "***")
        explained = f"PostgreSQL says: {said.rstrip('.')}."
        if getattr(error.orig, "sqlstate", None) is None:  # there was no session yet, or no more
            explained += " Is the server running, and are host, user, password and database right?"
        return explained

    def is_damage(self, error: DBAPIError) -> bool:
        """Corrupted pages and indexes, and tables or columns that are gone."""
        sqlstate = getattr(error.orig, "sqlstate", None) or ""
        return sqlstate.startswith("XX") or sqlstate in ("42P01", "42703")

    def note_erasure(self, connection: Connection) -> None:
        """Nothing to note."""

    def forget(self, connection: Connection) -> None:
        """Dead rows are cleared by the server's own vacuum, and its logs by its archiving."""

    def compact(self, connection: Connection) -> None:
        """The same."""

    def snapshot(self, file: Path) -> bool:
        return False

    def problems(self, connection: Connection) -> list[str]:
        """Checksums are the server's matter (pg_amcheck); a row that cannot be read is an error anyway."""
        return []


def _set_up(connection: PsycopgConnection[object], _: object) -> None:
    for setting in _SESSION:
        connection.execute(setting)
    connection.commit()
