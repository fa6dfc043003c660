"""One open database: the owner's connection for writing, and threads that read beside it."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from fastchat.arena.store import schema
from fastchat.arena.store.backends import READERS, Backend, backend_of
from fastchat.core.errors import InvalidRequest, SetupError, StoreFailed

ResultT = TypeVar("ResultT")

_log = logging.getLogger(__name__)


class Database:
    def __init__(self, backend: Backend, readers: Engine, owner: Connection | None) -> None:
        self.backend = backend
        self._readers = readers
        self._owner = owner  # None: opened to read only
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    @classmethod
    def open(cls, address: str) -> Self:
        """Become its owner; what is missing is made, older tables are brought up to date.

        Raises:
            SetupError: it cannot be opened, or belongs to another process.
        """
        backend = backend_of(address)
        backend.prepare()
        with _opening(backend):
            owner = _owned(backend)
            try:
                _bring_up_to_date(backend, owner)
            except BaseException:
                _close(owner)
                backend.release()
                raise
            return cls(backend, backend.readers(), owner)

    @classmethod
    def read_only(cls, address: str) -> Self:
        """Beside the owner, or without one.

        Raises:
            SetupError: it cannot be opened, or is not of this version.
        """
        backend = backend_of(address)
        engine = backend.readers()
        try:
            with _opening(backend), engine.connect() as connection:
                if not schema.is_current(connection, backend.name):
                    raise SetupError(
                        f"The arena's database {backend.name} is empty or was written by an older FastChat. Start the "
                        "arena on it once; that brings it up to date."
                    )
        except BaseException:
            engine.dispose()
            raise
        return cls(backend, engine, None)

    async def read(self, work: Callable[[Connection], ResultT]) -> ResultT:
        """In a thread and a transaction of its own: it sees one moment of the database, and waits for no writer."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, work)

    def _read(self, work: Callable[[Connection], ResultT]) -> ResultT:
        with self.reading() as connection:
            return work(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The same in this thread. It ends by rolling back: SQLite commits nothing after it met a damaged page."""
        with self.errors_in_words(), self._readers.connect() as connection:
            yield connection

    def owner(self) -> Connection:
        """The connection that writes; made anew if it was lost, if nobody else became the owner meanwhile.

        Raises:
            StoreFailed: the database does not answer, or has another owner.
        """
        if self._owner is None:
            raise RuntimeError("this database was opened to read only")
        if self._owner.closed or self._owner.invalidated:
            _close(self._owner)
            try:
                with self.errors_in_words():
                    self._owner = _owned(self.backend)
            except SetupError as error:
                raise StoreFailed(error.message) from error
            _log.warning("connected again to the database")
        return self._owner

    @contextmanager
    def errors_in_words(self) -> Iterator[None]:
        """The boundary: nothing of SQLAlchemy's leaves the store."""
        try:
            yield
        except IntegrityError as error:
            _log.error("a row does not fit: %s", self.backend.explain(error))
            # Without its cause, which may quote the row.
            raise InvalidRequest("This refers to something that does not exist, or not any more.") from None
        except DBAPIError as error:
            if self._owner is None:  # for an operator at a terminal
                raise SetupError(
                    f"The arena's database {self.backend.name} cannot be read. {self.backend.explain(error)}"
                ) from error
            _log.error("the database failed: %s", self.backend.explain(error))
            # For whoever called; why stands in the log.
            raise StoreFailed("The arena's database cannot do this at the moment. Try again soon.") from error

    def close(self) -> None:
        """Also ends every reader; the writer has to have ended before."""
        self._pool.shutdown(wait=True)
        self._readers.dispose()
        if self._owner is not None:
            _close(self._owner)
        self.backend.release()


def _owned(backend: Backend) -> Connection:
    connection = backend.writer().connect()
    try:
        backend.own(connection)
    except BaseException:
        _close(connection)
        raise
    return connection


def _bring_up_to_date(backend: Backend, owner: Connection) -> None:
    with owner.begin():
        schema.bring_up_to_date(owner, backend.name)


def _close(connection: Connection) -> None:
    connection.close()
    connection.engine.dispose()


@contextmanager
def _opening(backend: Backend) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise SetupError(f"The arena's database {backend.name} cannot be opened. {backend.explain(error)}") from error
