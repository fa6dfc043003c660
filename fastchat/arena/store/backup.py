"""Backups while the arena runs: one SQLite file with the same tables, from either database, and back into either.

The key that signs the log stands in a file of its own and is not in here.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from fastchat.arena.store import votes
from fastchat.arena.store.database import Database
from fastchat.arena.store.tables import FILES, METADATA, VOTES
from fastchat.arena.transparency.merkle import Frontier
from fastchat.core.errors import SetupError
from fastchat.core.naming import give_name

_PAGE = 500
_FILES_PAGE = 8  # of them some megabytes each


def back_up(connection: Connection, source: Database, file: Path) -> None:
    """
    Raises:
        SetupError: something is there already, or it cannot be written.
    """
    if file.exists():
        raise SetupError(f"{file} is there already. Backups overwrite nothing; give another path.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            draft = Path(folder) / file.name
            os.close(os.open(draft, os.O_RDWR | os.O_CREAT, 0o600))
            if not source.backend.snapshot(draft):
                _copy_to_file(connection, draft)
            _sync(draft)
            give_name(draft, file)  # fails if something came meanwhile
        _sync(file.parent)
    except OSError as error:
        raise SetupError(f"The backup {file} cannot be written: {error.strerror or error}.") from None
    except DBAPIError as error:
        raise SetupError(f"The backup {file} cannot be written. {source.backend.explain(error)}") from error


def restore(file: Path, address: str) -> int:
    """Fill an empty database from a backup; how many votes it has.

    Raises:
        SetupError: the backup cannot be read or is damaged, or the database is not empty.
    """
    with _readable(file) as source, closing(Database.open(address)) as target, source.reading() as old:
        with target.errors_in_words(), target.owner().begin():
            _check_empty(target)
            with _named(file, source):
                _copy(old, target.owner())
            _check_log(target.owner(), file)
        return _count(target.owner(), VOTES)


@contextmanager
def _named(file: Path, source: Database) -> Iterator[None]:
    """Of what fails while rows are copied, that which is the backup's fault."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, IntegrityError) or source.backend.is_damage(error):
            said = "rows refer to others that are not there" if isinstance(error, IntegrityError) else error.orig
            raise SetupError(f"The backup {file} is damaged: {said}.") from None
        raise
    except (StatementError, TypeError, ValueError) as error:  # a column holds what it cannot
        reason = error.orig if isinstance(error, StatementError) else error
        raise SetupError(f"The backup {file} is damaged: {reason}.") from None


def _check_empty(target: Database) -> None:
    full = [table.name for table in METADATA.sorted_tables if _count(target.owner(), table)]
    if full:
        raise SetupError(
            f"{target.backend.name} is not empty: there are {', '.join(full)}. Restore into a new database."
        )


@contextmanager
def _readable(file: Path) -> Iterator[Database]:
    """An older backup is brought up to date as a copy: the backup stays what it is."""
    if not file.is_file():
        raise SetupError(f"There is no backup {file}.")
    try:
        source = Database.read_only(str(file))
    except SetupError:
        with TemporaryDirectory() as folder:
            copy = Path(shutil.copy(file, folder))
            try:
                source = Database.open(str(copy))
            except SetupError as error:
                raise SetupError(error.message.replace(str(copy.resolve()), str(file))) from None
            with closing(source):
                yield source
        return
    with closing(source):
        yield source


def _copy_to_file(connection: Connection, file: Path) -> None:
    with closing(Database.open(str(file))) as target, target.errors_in_words(), target.owner().begin():
        _copy(connection, target.owner())


def _copy(source: Connection, target: Connection) -> None:
    for table in METADATA.sorted_tables:
        for page in _pages(source, table):
            target.execute(insert(table), page)


def _pages(source: Connection, table: Table) -> Iterator[list[dict[str, object]]]:
    size = _FILES_PAGE if table is FILES else _PAGE
    rows = source.execute(select(table).execution_options(yield_per=size)).mappings()
    for page in rows.partitions():
        yield [{str(name): value for name, value in row.items()} for row in page]


def _check_log(connection: Connection, file: Path) -> None:
    """Whether the votes are those that were signed; by whom, only somebody with the log's key can tell."""
    log = Frontier()
    with closing(votes.leaves(connection)) as leaves:
        for leaf in leaves:
            if leaf.index != log.size or leaf.leaf is None or leaf.leaf.leaf_hash != leaf.leaf_hash:
                raise SetupError(f"The backup {file} is damaged: vote {leaf.index} is not as it was cast.")
            log.append(leaf.leaf.leaf_hash)
    head = votes.newest_head(connection)
    if (head.tree_size if head else 0) != log.size or (head and head.root_hash != log.root()):
        raise SetupError(f"The backup {file} is damaged: its {log.size} votes are not those that were signed last.")


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
